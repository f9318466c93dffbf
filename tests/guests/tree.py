"""The Debian trees with systemd that guests boot from: one for each release, built once, kept outside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.tree import Progress, TreeError, cache

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "openssh-client", "rsync", "iproute2"),
    *("procps", "curl", "e2fsprogs"),
    *("python3-yaml", "python3-paramiko", "python3-psutil", "python3-prometheus-client"),
)
# One with nova's own package and its maintainer scripts (a gigabyte; Debian 11's are no longer served whole), with what the judge
# makes disks with and what Ansible installs packages with; the others with the account and files as nova's makes them. Debian 13
# has a package that owns the public Python module `agent`: ours must live beside it.
BESIDES = {
    "bullseye": ("rpm",),
    "bookworm": ("nova-common", "qemu-utils", "python3-apt"),
    "trixie": ("python3-agent-py",),
}
FINISH = """
set -eu
rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/resolv.conf" "$1/etc/hostname"
: > "$1/etc/machine-id"
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin
"""
NOVA = """
set -eu
id=64060
chroot "$1" groupadd --system --gid $id nova
chroot "$1" useradd --system --uid $id --gid nova --home-dir /var/lib/nova --shell /bin/sh nova
chroot "$1" install -d -o nova -g nova -m 755 /var/lib/nova /var/lib/nova/instances
chroot "$1" install -d -o nova -g nova -m 750 /etc/nova
"""
RECIPE = 1
"""To be raised when the way a tree is made changes."""


def guest_tree(suite: str, progress: Progress = print) -> Path:
    """Path of the finished tree of `suite`; the first call takes a minute or two.  Raises TreeError."""
    tree = cache() / f"guest-{suite}-{_key(suite)}"
    if not tree.is_dir():
        cache().mkdir(parents=True, exist_ok=True)
        with _locked(cache() / f"guest-{suite}.lock"):
            if not tree.is_dir():
                _build(suite, tree, progress)
    return tree


def _scripts(suite: str) -> tuple[str, ...]:
    return (FINISH,) if "nova-common" in BESIDES[suite] else (FINISH, NOVA)


def _key(suite: str) -> str:
    inputs = "\n".join((suite, *PACKAGES, *BESIDES[suite], *_scripts(suite), str(RECIPE)))
    return hashlib.sha256(inputs.encode()).hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(suite: str, tree: Path, progress: Progress) -> None:
    building = cache() / f"unfinished-{tree.name}"
    for old in [building, *cache().glob(f"guest-{suite}-*")]:
        # Never across a mount point: a killed build may have left /proc or /dev mounted.
        subprocess.run(["rm", "-rf", "--one-file-system", os.fspath(old)], check=True)
    progress(f"guests: building the {suite} tree, a minute or two, once")
    done = subprocess.run(
        _mmdebstrap(suite, building), capture_output=True, text=True, check=False, timeout=1800
    )
    if done.returncode:
        raise TreeError(f"mmdebstrap {suite} failed:\n{done.stderr[-3000:]}")
    for script in _scripts(suite):
        subprocess.run(["sh", "-c", script, "finish", os.fspath(building)], check=True)
    building.rename(tree)


def _mmdebstrap(suite: str, target: Path) -> list[str]:
    # Own namespaces: whatever it mounts or starts ends with it, and it ends with us. No mirror is
    # named, so the machine's apt configuration (a proxy, for instance) decides.
    contained = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork"]
    include = ",".join((*PACKAGES, *BESIDES[suite]))
    build = ["mmdebstrap", "--variant=apt", f"--include={include}", suite, os.fspath(target)]
    return [*contained, "--kill-child", "--mount-proc", *build]


if __name__ == "__main__":
    for name in sys.argv[1:] or list(BESIDES):
        print(guest_tree(name, lambda line: print(line, file=sys.stderr, flush=True)))
