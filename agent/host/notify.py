"""What a service tells systemd: sd_notify(3) and the journal's own protocol, each one datagram to a socket."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

_JOURNAL = "/run/systemd/journal/socket"
IDENTIFIER = "resize-agent"
_PATIENCE = 1.0  # seconds
ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6  # priorities of syslog(3)


@dataclass(frozen=True)
class Manager:
    """The service manager: where to tell it (None: nobody wants to know), and within how many seconds it wants a sign of life."""

    address: Optional[str] = None
    watchdog: Optional[float] = None

    def tell(self, *lines: str) -> None:
        """`READY=1`, `STATUS=text` and so on.  Nobody there to hear it is no reason to stop."""
        if not self.address:
            return
        where = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
                door.settimeout(_PATIENCE)  # its queue is short, and no message may be lost lightly
                door.sendto("\n".join(lines).encode(), where)
        except OSError:
            return


def manager(environment: Mapping[str, str], pid: int) -> Manager:
    """From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_watchdog_enabled(3))."""
    address = environment.get("NOTIFY_SOCKET") or None
    wanted = environment.get("WATCHDOG_USEC", "")
    for_us = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
    if not for_us or not wanted.isdigit() or int(wanted) == 0:
        return Manager(address)
    return Manager(address, int(wanted) / 1e6)


def monotonic_line() -> str:
    """What goes with RELOADING=1 (sd_notify(3))."""
    return f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def log(message: str, priority: int = INFO, fields: Optional[Mapping[str, str]] = None) -> None:
    """One line of the daemon's log, with fields where the journal takes them; to stderr otherwise."""
    if not _stderr_is_journal():
        _to_stderr(f"{IDENTIFIER}: {message}\n")
        return
    every = {
        "MESSAGE": message,
        "PRIORITY": str(priority),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "SYSLOG_PID": str(os.getpid()),
        **(fields or {}),
    }
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
            door.settimeout(_PATIENCE)  # a journal that hangs must not stop the daemon
            door.sendto(journal_entry(every), _JOURNAL)
    except OSError:
        _to_stderr(f"<{priority}>{message}\n")


def journal_entry(fields: Mapping[str, str]) -> bytes:
    """systemd's "native protocol": NAME=value, or for a value of several lines NAME, its length and it."""
    parts = []
    for name, value in fields.items():
        text = value.encode("utf-8", "backslashreplace")
        if b"\n" in text:
            parts.append(name.encode() + b"\n" + len(text).to_bytes(8, "little") + text + b"\n")
        else:
            parts.append(name.encode() + b"=" + text + b"\n")
    return b"".join(parts)


def _stderr_is_journal() -> bool:
    """JOURNAL_STREAM of systemd.exec(5): device and inode of the stream, if nobody has redirected it since."""
    told = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return told == f"{found.st_dev}:{found.st_ino}"


def _to_stderr(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        return
