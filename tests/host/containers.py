"""A container on this machine, for a moment: another root in a mount namespace of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A root that has the machine's programs and an /etc of its own; `cat`, under any name, lives as long as the test.
SCRIPT = """
set -eu
mount -t tmpfs -o mode=0755 seat "$1"
cd "$1"
for each in bin sbin lib lib64 usr; do
    [ ! -e "/$each" ] || { mkdir "$each" && mount --rbind "/$each" "$each"; }
done
mkdir -m 1777 tmp
mkdir -p etc/nova run dev old home proc
mount --rbind /proc proc
touch dev/null
mount --bind /dev/null dev/null
echo inside >etc/where
echo '[DEFAULT]' >etc/nova/nova.conf
echo 'my_ip = 10.100.0.77' >>etc/nova/nova.conf
ln -s /etc/where home/link
ln -s ../../../../../../etc/where home/up
echo 'nova:x:42436:42436::/home:/bin/sh' >etc/passwd
pivot_root . old
umount -l /old
umount -l /proc  # a container's own knows its own processes only, and us it does not
echo ready
exec bash -c 'exec -a "$1" cat' bash "$2"
"""


@contextmanager
def container(
    place: Path, name: str = "cat", namespaces: tuple[str, ...] = ("--mount",)
) -> Iterator[int]:
    """The number of its process, which is called `name`."""
    shell = ["bash", "-c", SCRIPT, "bash", str(place), name]
    argv = ["unshare", *namespaces, "--propagation", "private", *shell]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(argv, **pipes)
    try:
        assert process.stdout.readline() == b"ready\n"
        await_title(process, name)
        yield process.pid
    finally:
        process.communicate()


def await_title(process: subprocess.Popen[bytes], name: str) -> None:
    """Between a word that it says and the exec that follows, a shell is still a shell; in the middle of that it has no title."""
    title = Path(f"/proc/{process.pid}/cmdline")
    while not title.read_bytes().startswith(name.encode() + b"\0"):
        assert process.poll() is None
