"""The commands that Nova runs for a resize, as its errors quote them (nova/virt/libvirt/volume/remotefs.py).

ssh [-o BatchMode=yes] ADDR touch|rm|mkdir -p|rm -rf PATH
scp [-C] -r LOCAL ADDR:PATH           and the other way round for the image cache
rsync ...                             the same with `remote_filesystem_transport = rsync`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Optional

UUID = re.compile(
    r"(?<![0-9a-f])(?<!req-)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f])"
)
"""Of a guest; those of requests begin with `req-`."""
_REMOTE = re.compile(r"(\[[^\]]*\]|[^/:\[\]]+):(/.*)")
_LONGEST = 2000
_VALUED = ("--include", "--exclude", "-o")


class Work(Enum):
    """What a command was for."""

    TOUCH = "touch"
    REMOVE = "remove"
    MKDIR = "mkdir"
    CLEAN = "clean"
    COPY = "copy"
    PULL = "pull"
    LOCAL = "local"


@dataclass(frozen=True)
class Command:
    """`path` is that on the destination; `""` is what the text does not hold any more."""

    line: str
    tool: str
    work: Work
    address: str
    path: str

    @property
    def uuid(self) -> str:
        found = UUID.search(self.line)
        return found[0] if found else ""

    @property
    def instances_path(self) -> str:
        """The directory that holds the guest's, "" where the text is cut before its name."""
        head, found, _ = self.path.partition("/" + self.uuid) if self.uuid else ("", "", "")
        return head if found else ""


def parse(line: str) -> Optional[Command]:
    """The command in `line`, also where its end is missing; None for what Nova runs for other ends."""
    line = " ".join(line[:_LONGEST].split())
    words = line.split(" ")
    tool = words[0].rpartition("/")[2]
    if tool == "ssh":
        return _ssh(line, _positional(words[1:]))
    if tool == "cp" and words[1:2] == ["-r"]:
        return Command(line, tool, Work.LOCAL, "", words[-1]) if "_resize/" in line else None
    if tool == "scp":
        return _copy(line, tool, _positional(words[1:]))
    if tool == "rsync":
        return _rsync(line, words[1:])
    return None


def _positional(words: list[str]) -> list[str]:
    values = {index + 1 for index, word in enumerate(words) if word in _VALUED}
    return [w for i, w in enumerate(words) if not w.startswith("-") and i not in values]


def _ssh(line: str, words: list[str]) -> Optional[Command]:
    verb = words[1] if len(words) > 1 else ""
    work = {"touch": Work.TOUCH, "rm": Work.REMOVE, "mkdir": Work.MKDIR}.get(verb)
    if work is None:
        return None
    if verb == "rm" and " -rf" in line:
        work = Work.CLEAN
    return Command(line, "ssh", work, words[0], " ".join(words[2:]))


def _copy(line: str, tool: str, words: list[str]) -> Optional[Command]:
    if not words:
        return None
    source = _REMOTE.fullmatch(words[0])
    if source:
        return Command(line, tool, Work.PULL, source[1].strip("[]"), source[2])
    target = _REMOTE.fullmatch(words[1]) if len(words) > 1 else None
    if target:
        return Command(line, tool, Work.COPY, target[1].strip("[]"), target[2])
    if not words[0].startswith("/"):
        return None
    # The text ends before the destination: what is left is the path here.
    return Command(line, tool, Work.COPY, "", words[0].replace("_resize/", "/"))


def _rsync(line: str, words: list[str]) -> Optional[Command]:
    rest = _positional(words)
    if "-r" in words[:1]:
        return _copy(line, "rsync", rest)
    if "--archive" not in words[:1] or not rest:
        return None
    address = rest[1].rpartition(":")[0].strip("[]") if len(rest) > 1 else ""
    local = rest[0].partition("/./")[2]
    if "--relative" in words:
        work = Work.TOUCH if local.endswith(".tmp") else Work.MKDIR
        return Command(line, "rsync", work, address, "/" + local if local else "")
    work = Work.CLEAN if "--delete-excluded" in words else Work.REMOVE
    return Command(line, "rsync", work, address, rest[-1].rpartition(":")[2])
