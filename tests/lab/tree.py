"""The Debian trees that lab hosts are overlays of: each built once, kept outside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.sources import machines_release, sources_for

Progress = Callable[[str], None]

SUITE = "bookworm"
SUITES = ("bullseye", SUITE, "trixie")
"""Debian 11, 12 and 13: OpenSSH 8.4, 9.2 and 10.0; Nova 22, 26 and 31."""
PACKAGES = (
    *("openssh-server", "openssh-client", "rsync", "iproute2", "procps", "acl", "attr"),
    *("e2fsprogs", "qemu-utils", "nova-common", "nova-compute-kvm", "python3-nova"),
    *("python3-yaml", "python3-paramiko", "python3-psutil", "python3-prometheus-client"),
)
ALSO = {SUITE: ("bindfs",), "trixie": ("login",)}
"""bindfs to stand for a network file system; login because /usr/sbin/nologin is there: essential before Debian 13."""
# Debian writes the default route's address of the moment of installation into my_ip, so hosts made
# from one image share it. Here that must not depend on the machine the tree was built on.
PACKAGED_MY_IP = "192.0.2.10"
# What would be the building machine's, or must differ between hosts, goes.
FINISH = f"""
set -eu
sed -i 's/^my_ip *=.*/my_ip = {PACKAGED_MY_IP}/' "$1/etc/nova/nova.conf"
grep -qx 'my_ip = {PACKAGED_MY_IP}' "$1/etc/nova/nova.conf"
rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/machine-id"
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin
"""
RECIPE = 1
"""To be raised when the way the tree is made changes."""


class TreeError(RuntimeError):
    """The base tree could not be built."""


def cache() -> Path:
    return Path(os.environ.get("RESIZE_AGENT_LAB_CACHE", "/var/cache/resize-agent-lab"))


def packages(suite: str) -> tuple[str, ...]:
    return PACKAGES + ALSO.get(suite, ())


def key(suite: str = SUITE) -> str:
    inputs = "\n".join((suite, *packages(suite), FINISH, str(RECIPE)))
    return hashlib.sha256(inputs.encode()).hexdigest()[:16]


def base_tree(suite: str = SUITE, progress: Progress = print) -> Path:
    """Path of the finished tree; the first call takes minutes, later ones nothing."""
    tree = _place(suite)
    if tree.is_dir():
        return tree
    cache().mkdir(parents=True, exist_ok=True)
    with _locked(cache() / f"lock-{suite}", progress):
        if not tree.is_dir():
            _remove_leftovers(tree)
            _build(suite, tree, progress)
    return tree


def _place(suite: str) -> Path:
    return cache() / f"tree-{key(suite)}"


def hold(tree: Path) -> int:
    """A descriptor that keeps `tree` from being removed by another run until it is closed."""
    handle = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("lab: another run is building the base tree, waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _remove_leftovers(wanted: Path) -> None:
    trees = {_place(suite) for suite in SUITES} - {wanted}
    kept = {path for tree in trees for path in (tree, _unfinished(tree))}
    for old in [*cache().glob("building-*"), *cache().glob("tree-*")]:
        if old not in kept and not _in_use(old):
            # Never across a mount point: a killed build may have left /proc or /dev mounted.
            subprocess.run(["rm", "-rf", "--one-file-system", os.fspath(old)], check=True)


def _unfinished(tree: Path) -> Path:
    return tree.with_name(f"building-{tree.name}")


def _in_use(tree: Path) -> bool:
    handle = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _build(suite: str, tree: Path, progress: Progress) -> None:
    _require_mmdebstrap(progress)
    building = _unfinished(tree)
    progress(
        f"lab: building the base tree ({suite}, {len(packages(suite))} packages), some minutes, once"
    )
    started = time.monotonic()
    with tempfile.NamedTemporaryFile("w", suffix=".sources") as file:
        file.write(sources_for(suite, machines_release()))
        file.flush()
        # Where the machine has no source of its own release, mmdebstrap knows one.
        named = [file.name] if os.path.getsize(file.name) else []
        _follow([*_mmdebstrap(suite, building), *named], started, progress)
    subprocess.run(["sh", "-c", FINISH, "finish", os.fspath(building)], check=True)
    building.rename(tree)
    progress(f"lab: base tree ready after {time.monotonic() - started:.0f} s: {tree}")


def _mmdebstrap(suite: str, target: Path) -> list[str]:
    # Own namespaces: whatever it mounts or starts ends with it, and it ends with us. No mirror is
    # named here: the machine's apt configuration (its sources, a proxy) decides.
    contained = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork"]
    build = ["mmdebstrap", "--variant=apt", f"--include={','.join(packages(suite))}", suite]
    return [*contained, "--kill-child", "--mount-proc", *build, os.fspath(target)]


def _require_mmdebstrap(progress: Progress) -> None:
    if shutil.which("mmdebstrap"):
        return
    progress("lab: installing mmdebstrap")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "mmdebstrap"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(install, env=environment, check=False, stdout=subprocess.DEVNULL).returncode:
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(install, env=environment, check=True, stdout=subprocess.DEVNULL)


def _follow(argv: list[str], started: float, progress: Progress) -> None:
    """Run a long program, telling what it says last at least every ten seconds."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = [""]
    while True:
        news = _read_within(process.stderr.fileno(), seconds=10)
        if news == b"":
            break
        for line in (news or b"").decode(errors="replace").splitlines():
            said.append(line.removeprefix("I: "))
        progress(f"lab: {time.monotonic() - started:4.0f} s  {said[-1]}")
    if process.wait():
        raise TreeError(f"mmdebstrap failed with {process.returncode}:\n" + "\n".join(said[-25:]))


def _read_within(descriptor: int, seconds: float) -> bytes | None:
    ready, _, _ = select.select([descriptor], [], [], seconds)
    return os.read(descriptor, 65536) if ready else None


if __name__ == "__main__":
    try:
        for name in sys.argv[1:] or [SUITE]:
            print(base_tree(name, lambda line: print(line, file=sys.stderr, flush=True)))
    except (TreeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"lab: {error}")
