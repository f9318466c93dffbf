"""What a run does, counted by strace(1) and not timed: the processes it starts, the files it opens, what it changes."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_STARTING = ("clone", "clone3", "fork", "vfork")
_CHANGING = (
    "fsync fdatasync rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat rmdir mkdir mkdirat mknod mknodat"
    " truncate ftruncate fallocate chmod fchmod fchmodat chown fchown lchown fchownat setxattr fsetxattr"
).split()
_TRACED = ("execve", "open", "openat", "creat", *_STARTING, *_CHANGING)
_CALL = re.compile(r"(\w+)\((.*)\) += ([0-9]+)")  # one that succeeded
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
# Python's own business, and the machine's: modules and where they are looked for, libraries, what a process asks about itself.
_NOT_OURS = re.compile(
    r".*\.(?:py|pyc|so(?:\.[0-9.]+)?)|/usr/.*|.*/lib/python3.*|.*/(?:site|dist)-packages.*|.*/pyvenv\.cfg|.*/agent(?:/\w+)*"
    r"|/etc/(?:ld\.so\..*|localtime|python.*)|/dev/.*|/proc/(?:self|[0-9]+)/.*"
)


@dataclass(frozen=True)
class Work:
    """`programs` by name, sorted, with those that programs start.  `started` is how many processes the agent itself began:
    programs, and children that look or write as somebody else.

    `opened` to read, by the agent and those children.  `changed`: each call with which they change a file system, and the last
    name in it, as in `rename report.json`; a descriptor has none.
    """

    programs: tuple[str, ...]
    started: int
    opened: Counter[str]
    changed: Counter[str]


def tracing(directory: Path) -> list[str]:
    """The beginning of a command line.  Each process writes a file in `directory`, which must be there."""
    calls = ",".join(f"?{call}" for call in _TRACED)  # ?: not every machine has them all
    quiet = ["-ff", "-qq", "-s", "300", "-e", "signal=none"]
    return ["strace", *quiet, "-e", f"trace={calls}", "-o", str(directory / "trace")]


def so_far(directory: Path) -> dict[str, int]:
    """How much each process has done, for `work` to leave out."""
    return {path.name: len(_lines(path)) for path in directory.iterdir()}


def work(directory: Path, before: Optional[Mapping[str, int]] = None) -> Work:
    """Of the whole run, or of what came after `before`."""
    programs: list[str] = []
    started = 0
    opened: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    for path in directory.iterdir():
        lines = _lines(path)
        became = [_TEXT.findall(line) for line in lines if line.startswith("execve(")]
        lines = lines[(before or {}).get(path.name, 0) :]
        if became and not any(map(_is_agent, became)):
            programs += [words[0].rpartition("/")[2] for words in _succeeded(lines)]
            continue
        for call, arguments in _calls(lines):
            started += call in _STARTING and "CLONE_THREAD" not in arguments
            opened.update(_read(call, arguments))
            changed.update(_changed(call, arguments))
    return Work(tuple(sorted(programs)), started, opened, changed)


def _is_agent(words: list[str]) -> bool:
    return "agent" in words and not words[0].endswith("/nsenter")


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


def _succeeded(lines: list[str]) -> Iterator[list[str]]:
    """The words of each command line that became a program; nsenter only brings us there."""
    for call, arguments in _calls(lines):
        words = _TEXT.findall(arguments)
        if call == "execve" and not words[0].endswith("/nsenter"):
            yield words


def _calls(lines: list[str]) -> Iterator[tuple[str, str]]:
    for match in filter(None, map(_CALL.match, lines)):
        yield match[1], match[2]


def _read(call: str, arguments: str) -> Iterator[str]:
    names = _TEXT.findall(arguments)
    if call in ("open", "openat") and not _writes(arguments) and not _NOT_OURS.fullmatch(names[0]):
        yield names[0]


def _changed(call: str, arguments: str) -> Iterator[str]:
    names = [name.rpartition("/")[2] for name in _TEXT.findall(arguments)]
    if call == "creat" or (call in ("open", "openat") and _writes(arguments)):
        if names[0] != "null":
            yield f"open {names[0]}"
    elif call in _CHANGING:
        yield " ".join([call, *names[-1:]])


def _writes(arguments: str) -> bool:
    return "O_WRONLY" in arguments or "O_RDWR" in arguments
