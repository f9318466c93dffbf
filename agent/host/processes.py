"""Other processes, as /proc shows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Optional


def running(name: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(pid, command line) of every process that is the program `name`, or Python running it."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        argv = _command_line(pid)
        if _program(argv) == name:
            yield pid, argv


def _command_line(pid: int) -> tuple[str, ...]:
    """() of one that has ended.  Who has written a title over its arguments parts the words of it with blanks."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            words = os.fsdecode(stream.read()).removesuffix("\0").split("\0")
    except OSError:
        return ()
    return tuple(words if len(words) > 1 else words[0].split(" "))


def started(pid: int) -> Optional[float]:
    """When a process was started, to the second; the program it runs may have been exec'd later."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def owner(pid: int) -> Optional[int]:
    """Its real uid, None where it is gone (proc_pid_status(5))."""
    try:
        with open(f"/proc/{pid}/status", "rb") as stream:
            uids = next((line.split() for line in stream if line.startswith(b"Uid:")), [])
    except OSError:
        return None
    return int(uids[1]) if len(uids) > 1 else None


def executable(pid: int) -> str:
    """The program file a process runs (proc_pid_exe(5)); "" where that cannot be seen.

    Of a process with more capabilities than ours it cannot (ptrace(2)): the confined daemon sees none of root's.
    """
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def namespace(pid: str, kind: str) -> int:
    """The inode of a namespace, which is its name.  Raises OSError."""
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino


def _program(argv: tuple[str, ...]) -> str:
    """The name of what a command line runs; of an interpreter the script it was given."""
    words = [os.path.basename(word.rstrip(":")) for word in argv[:1]]
    if words and words[0].startswith("python"):
        words = [os.path.basename(word) for word in argv[1:] if not word.startswith("-")]
    return words[0] if words else ""
