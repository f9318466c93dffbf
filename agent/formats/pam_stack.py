"""One file of pam.d(5), as far as it says what is done when a session is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

_WORD = re.compile(r"\[[^\]]*\]|\S+")


class Line(NamedTuple):
    """A module and its arguments, or another file ("" where it is a module) whose lines stand here."""

    include: str
    module: str = ""
    arguments: tuple[str, ...] = ()


def session(text: bytes) -> Iterator[Line]:
    for line in text.decode("utf-8", "replace").replace("\\\n", " ").split("\n"):
        words = _WORD.findall(line.partition("#")[0])
        if len(words) > 1 and words[0] == "@include":
            yield Line(words[1])
        elif len(words) < 3 or words[0].removeprefix("-").lower() != "session":
            continue
        elif words[1].lower() in ("include", "substack"):
            yield Line(words[2])
        else:
            yield Line("", PurePosixPath(words[2]).name, tuple(words[3:]))
