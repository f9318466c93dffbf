"""Files of the wrong kind, size or text where the agent reads: it says so in one printable line, at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from agent.host import Host
from agent.model import Absent, NovaConfig, Unreadable
from agent.observe import nova, records
from agent.settings import Settings
from tests.host.ground import a_user, ground

Make = Callable[[Path], object]
US = a_user(os.geteuid())


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


ODD: dict[str, Make] = {
    "fifo": os.mkfifo,
    "socket": _socket,
    "directory": Path.mkdir,
    "sparse": _sparse,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "memory": lambda path: path.symlink_to("/proc/self/mem"),
    "loop": lambda path: path.symlink_to(path.name),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "nine-mebibytes": lambda path: path.write_bytes(b"#" * (9 << 20)),
}
TEXTS = {
    "nul": b"[DEFAULT]\nmy_ip = 10.0.0.1\0\n",
    "not-utf8": b"[DEFAULT]\nhost = \xff\xfe\n",
    "utf16": "[DEFAULT]\nmy_ip = 10.0.0.1\n".encode("utf-16"),
    "escape": b"[DEFAULT]\ninstances_path = \x1b[2J\x1b]0;x\x07\n",
    "bidi": "[DEFAULT]\ninstances_path = x\u202e\u2066\n".encode(),
    "zero-width": "[DEFAULT]\nmy_ip = 10.0.\u200b0.1\n".encode(),
    "escape-in-option": b"[DEFAULT\x1b[2J\nmy_ip\n",
    "long-line": b"[DEFAULT]\nmy_ip = " + b"1" * (1 << 20),
    "no-group": b"my_ip = 10.0.0.1\n",
    "itself": b"[DEFAULT]\nhost = $host\ninstances_path = $instances_path\n",
    "python-format": b"[DEFAULT]\nmy_ip = %(__class__)s {0.__class__}\n",
}


def config(root: Path) -> object:
    return nova.config(Host(str(root)), Settings(), Absent())


def said(found: object) -> list[str]:
    """Everything of an answer that a person would be shown."""
    if isinstance(found, Unreadable):
        return [found.reason]
    assert isinstance(found, NovaConfig)
    return list(found.problems)


@pytest.fixture
def root() -> object:
    with ground() as place:
        (place / "etc/nova").mkdir(parents=True)
        (place / "etc/resize-agent/peers.d").mkdir(parents=True)
        yield place


@pytest.mark.parametrize("name", ODD)
def test_nova_conf_that_is_no_such_file_is_unreadable(name: str, root: Path) -> None:
    ODD[name](root / "etc/nova/nova.conf")
    found = config(root)
    assert isinstance(found, Unreadable), found
    assert found.reason.isprintable()


@pytest.mark.parametrize("name", TEXTS)
def test_nova_conf_of_any_text_is_understood_or_refused(name: str, root: Path) -> None:
    (root / "etc/nova/nova.conf").write_bytes(TEXTS[name])
    assert all(line.isprintable() for line in said(config(root)))


@pytest.mark.parametrize("name", ODD)
def test_a_record_that_is_no_such_file_is_told(name: str, root: Path) -> None:
    ODD[name](root / "etc/resize-agent/peers.d/compute2.yaml")
    ((path, text),) = records.texts(Host(str(root)))
    assert path.name == "compute2.yaml"
    assert isinstance(text, Unreadable) and text.reason.isprintable()


def test_a_directory_of_records_that_cannot_be_read_is_not_an_empty_one(root: Path) -> None:
    peers = root / "etc/resize-agent/peers.d"
    peers.rmdir()
    peers.symlink_to(peers.name)
    [(path, text)] = records.texts(Host(str(root)))
    assert path.name == "peers.d" and isinstance(text, Unreadable)


ENVIRONMENTS = {
    "plain": ({"OS_DEFAULT__MY_IP": "10.0.0.1"}, {"OS_DEFAULT__MY_IP": "10.0.0.1"}),
    "none": ({}, {}),
    "not-utf8": ({b"A": b"\xff\n\x1b"}, {"A": "\ufffd\n\x1b"}),
    "huge": ({"A": "x" * 100_000}, {"A": "x" * 100_000}),
    "equals": ({"A": "=b=c"}, {"A": "=b=c"}),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_environment_of_a_process_is_read_whatever_is_in_it(name: str) -> None:
    given, expected = ENVIRONMENTS[name]
    with subprocess.Popen(["sleep", "1000"], env=given, executable="/bin/sleep") as process:  # type: ignore[arg-type]
        try:
            assert Host("/").environment(process.pid, US) == expected
        finally:
            process.kill()


def test_a_process_that_wrote_over_its_environment_is_read_too() -> None:
    """Its title and environment are memory of its own: no NUL, no `=`, no text."""
    code = (
        "import ctypes, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "address = ctypes.c_void_p.in_dll(libc, 'environ').value\n"
        "first = ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))[0]\n"
        "ctypes.memset(first, 0x1b, 20)\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": "secret", "B": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    found = Host("/").environment(process.pid, US)
    process.communicate()
    assert found.get("B") == "1"


def test_a_process_that_is_gone_has_no_environment() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert Host("/").environment(process.pid, US) is None


def test_the_path_asked_for_may_be_odd() -> None:
    seen = Host("/").file(PurePosixPath("/proc/self/environ/x"))
    assert isinstance(seen, Absent)
