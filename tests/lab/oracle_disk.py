"""The disk that the judge moves: made on the source, looked for on the destination, cleared away."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from tests.lab.host import Host

QEMU_USER = "libvirt-qemu"
MAKE = """
IP=%(path)s D=%(path)s/%(uuid)s
# Where there is no such directory no guest can live either; Nova finds that out by itself.
[ -d "$IP" ] || exit 0
mkdir "$D"
head -c 524288 /dev/urandom >"$D/raw"
qemu-img convert -f raw -O qcow2 "$D/raw" "$D/disk"
rm "$D/raw"
chown -R nova:nova "$D" 2>/dev/null || chown -R --reference="$IP" "$D"  # also where nova has no passwd line
sha256sum <"$D/disk"
"""
# Nova on the source makes its own path on the destination, parents and all.
NOTE = """
P=%(theirs)s
while [ ! -e "$P" ]; do P=$(dirname "$P"); done
echo "$P"
if [ -d %(ours)s ]; then stat -L -c %%a %(ours)s; fi
"""
# A row may have broken rm.
REMOVE = """
for P in %(path)s/%(uuid)s %(path)s/%(uuid)s_resize; do
    if [ -e "$P" ] || [ -L "$P" ]; then find "$P" -delete; fi
done
"""
REMOVE_PARENTS = """
P=%(path)s
while [ "$P" != %(kept)s ] && rmdir "$P" 2>/dev/null; do P=$(dirname "$P"); done
"""


@dataclass
class Disk:
    source: Host
    destination: Host
    uuid: str
    source_path: str
    destination_path: str
    _hash: str = field(default="", init=False)
    _kept: str = field(default="/", init=False)
    _mode: str = field(default="", init=False)

    @property
    def expected(self) -> str:
        """Where the destination's own configuration makes it look."""
        return f"{self.destination_path}/{self.uuid}/disk"

    def create(self) -> None:
        self._hash = self.source.sh(MAKE % self._quoted(path=self.source_path)).stdout
        noted = self.destination.sh(NOTE % self._both()).stdout.splitlines()
        self._kept, self._mode = noted[0], (noted[1:] or [""])[0]

    def arrived(self) -> bool:
        look = f"sha256sum <{shlex.quote(self.expected)}"
        return self.destination.sh(look, check=False).stdout == self._hash != ""

    def lost(self) -> bool:
        """Whether no whole copy is left where the source would look for it: Nova renames, then copies."""
        kept = f"{self.source_path}/{self.uuid}"
        found = [
            self.source.sh(f"sha256sum <{shlex.quote(path)}/disk", check=False).stdout
            for path in (kept, f"{kept}_resize")
        ]
        return self._hash not in ("", *found)

    def refused_to_qemu(self) -> str:
        """Why qemu cannot read it, or nothing; libvirt gives qemu the file, not the way to it."""
        self.destination.run(["chown", f"{QEMU_USER}:kvm", self.expected])
        read = self.destination.run(["md5sum", self.expected], user=QEMU_USER)
        return read.stderr.strip() if read.returncode else ""

    def clean_up(self) -> tuple[str, str] | None:
        """Remove every trace; the destination directory's modes, where the move changed them."""
        self.source.sh(REMOVE % self._quoted(path=self.source_path))
        for path in (self.source_path, self.destination_path):
            self.destination.sh(REMOVE % self._quoted(path=path))
        self._remove_new_parents()
        return self._restored_mode()

    def _remove_new_parents(self) -> None:
        if self._kept != self.source_path:
            values = self._quoted(path=self.source_path, kept=self._kept)
            self.destination.sh(REMOVE_PARENTS % values)

    def _restored_mode(self) -> tuple[str, str] | None:
        path = shlex.quote(self.destination_path)
        if not self._mode:
            return None
        now = self.destination.sh(f"stat -L -c %a {path}").stdout.strip()
        if now == self._mode:
            return None
        self.destination.sh(f"chmod {self._mode} {path}")
        return self._mode, now

    def _both(self) -> dict[str, str]:
        return self._quoted(theirs=self.source_path, ours=self.destination_path)

    def _quoted(self, **values: str) -> dict[str, str]:
        return {name: shlex.quote(value) for name, value in (*values.items(), ("uuid", self.uuid))}
