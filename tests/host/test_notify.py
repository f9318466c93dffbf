"""What a service tells systemd, at the socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host import notify
from agent.host.notify import Manager, manager
from tests.host.ground import needs_root
from tests.test_cli import TOP


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        yield listening


def test_lines_arrive_in_one_message(ear: socket.socket) -> None:
    Manager(ear.getsockname()).tell("READY=1", "STATUS=fine")
    assert ear.recv(4096) == b"READY=1\nSTATUS=fine"


def test_an_abstract_address_begins_with_an_at() -> None:
    name = f"resize-agent-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        listening.settimeout(60)
        Manager("@" + name).tell("STOPPING=1")
        assert listening.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize("address", [None, "", "/no/such/socket", "@nobody", "x" * 300])
def test_nobody_there_is_no_reason_to_stop(address: str | None) -> None:
    assert Manager(address).tell("READY=1") is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Manager()),
        ({"NOTIFY_SOCKET": ""}, Manager()),
        ({"NOTIFY_SOCKET": "/n"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "90000000"}, Manager("/n", 90.0)),
        (
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "500000", "WATCHDOG_PID": "7"},
            Manager("/n", 0.5),
        ),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "8"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, Manager("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"}, Manager("/n")),
    ],
)
def test_what_the_environment_asks_for(environment: dict[str, str], expected: Manager) -> None:
    assert manager(environment, 7) == expected


def test_the_journals_own_protocol() -> None:
    entry = notify.journal_entry({"MESSAGE": "a\nb", "PRIORITY": "4"})
    assert entry == b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=4\n"


HANGING = """
import os, socket
from agent.host import notify
os.makedirs("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")  # nobody reads from it, as of a journal that hangs
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as another:
    try:
        while True:
            another.sendto(b"MESSAGE=x", "/run/systemd/journal/socket")
    except BlockingIOError:
        notify.log("message", 5)
"""


@needs_root
def test_a_journal_that_hangs_stops_nobody(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+b") as log:
        found = os.fstat(log.fileno())
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", WITHOUT_RUN, sys.executable, "-c", HANGING],
            cwd=TOP,
            env={
                "PATH": os.environ["PATH"],
                "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}",
            },
            stderr=log,
            check=True,
            timeout=120,
        )
        log.seek(0)
        assert b"<5>message" in log.read()


def logged(**environment: str) -> str:
    code = "from agent.host import notify; notify.log('all is well', 5, {'AGENT_PEER': 'c2'})"
    said = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, env=said, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr


@pytest.mark.parametrize("stream", ["", "1:2", "garbage"])
def test_without_the_journal_it_is_a_plain_line(stream: str) -> None:
    assert logged(JOURNAL_STREAM=stream) == "resize-agent: all is well\n"


WITHOUT_RUN = 'mount -t tmpfs none /run; exec "$0" "$@"'


@needs_root
def test_where_stderr_is_the_journal_and_its_socket_is_gone_the_line_has_its_priority(
    tmp_path: Path,
) -> None:
    with (tmp_path / "log").open("w+b") as log:
        found = os.fstat(log.fileno())
        code = "from agent.host import notify; notify.log('all is well', 5)"
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", WITHOUT_RUN, sys.executable, "-c", code],
            cwd=TOP,
            env={
                "PATH": os.environ["PATH"],
                "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}",
            },
            stderr=log,
            check=True,
        )
        log.seek(0)
        assert log.read() == b"<5>all is well\n"
