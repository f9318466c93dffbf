"""Packages built from this source tree, and guests that live as long as the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.guests.compute import furnish, install, make_ready
from tests.guests.guests import Guests
from tests.guests.situations import SSH, undo
from tests.lab.host import Host

SOURCE = Path(__file__).resolve().parents[2]
PROGRAMS = ("systemd-nspawn", "mmdebstrap", "dpkg-buildpackage", "dh_python3", "ip")
MakeGuests = Callable[..., Guests]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [p for p in PROGRAMS if shutil.which(p) is None]
    why = "guests are containers: needs root" if os.geteuid() else ""
    why = why or (f"not installed: {' '.join(missing)}" if missing else "")
    if why:
        for item in items:
            if "tests/guests" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("deb", SOURCE, tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="session")
def next_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same program with a higher version."""
    copy = tmp_path_factory.mktemp("next") / "source"
    copy.mkdir()
    for name in ("agent", "docs", "packaging", "systemd"):
        left_out = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(SOURCE / name, copy / name, ignore=left_out)
    for name in ("LICENSE", "README.md", "CHANGELOG.md"):
        shutil.copy(SOURCE / name, copy / name)
    (copy / "agent" / "__init__.py").write_text('__version__ = "99.0.0"\n')
    return copy


@pytest.fixture(scope="session")
def next_deb(next_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("deb", next_source, tmp_path_factory.mktemp("next-deb"))


def built(kind: str, source: Path, out: Path) -> Path:
    subprocess.run([source / "packaging" / "build", kind, out], check=True)
    [package] = out.glob(f"*.{kind}")
    return package


@pytest.fixture
def make_guests(capfd: pytest.CaptureFixture[str]) -> Iterator[MakeGuests]:
    """`make_guests("bookworm", "c1", "c2")`: booted, each a compute node without the agent."""

    def progress(line: str) -> None:
        with capfd.disabled():
            print(line, flush=True)

    with ExitStack() as stack:
        yield lambda suite, *names: stack.enter_context(Guests(suite, names, progress))


@pytest.fixture(scope="module")
def pair(deb: Path) -> Iterator[Guests]:
    with Guests("bookworm", ["c1", "c2"]) as guests:
        for host in guests:
            furnish(host)
            install(host, deb)
        make_ready(guests)
        for host in guests:  # nova's shell is in place now, and its key
            host.sh(f"cp -a {SSH} /root/nova-ssh; cp /etc/default/ssh /root/default-ssh")
            host.sh("cp -a /etc/resize-agent/peers.d /root/peers.d")
            host.sh("cp -a /etc/ssh/ssh_known_hosts.nova /root/known-hosts")
            number = host.address.rpartition(".")[2]
            host.sh(f"ip address add fd00:99::{number}/64 dev host0 nodad")
        yield guests


@pytest.fixture
def c1(pair: Guests) -> Iterator[Host]:
    """The first guest, ready; what a test does to it is taken back."""
    yield pair["c1"]
    undo(pair["c1"])
