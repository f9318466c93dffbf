"""One configuration file, line by line, as oslo.config's parser takes it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple, Optional

from agent.formats.escape import visible

_SEPARATOR = re.compile("[=:]")


class Written(NamedTuple):
    """The last text given for an option, before substitution, and where."""

    text: str
    origin: str


class Mistake(NamedTuple):
    message: str
    where: str


Sections = dict[str, dict[str, Written]]


def normalized(group: str) -> str:
    """oslo.config compares group names in lower case, except for DEFAULT."""
    return group if group == "DEFAULT" else group.lower()


def read_file(path: PurePosixPath, content: bytes) -> tuple[Sections, Optional[Mistake]]:
    """What stands before the first mistake, and the mistake."""
    shown = visible(str(path))
    reader = _Reader(shown)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        broken = content.count(b"\n", 0, error.start) + 1
        return reader.sections, Mistake("not valid UTF-8", f"{shown}:{broken}")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    silent = True  # a comment after a comment changes nothing, and nova.conf has ten thousand
    for number, line in enumerate(lines, start=1):
        comment = not line or line[0] in "#;"
        if comment and silent:
            continue
        silent = comment
        mistake = reader.read(number, line.rstrip())
        if mistake is not None:
            return reader.sections, Mistake(mistake, f"{shown}:{number}")
    reader.finish_value()
    return reader.sections, None


class _Reader:
    """The sections of one file so far, and the value that may still continue."""

    def __init__(self, shown_path: str) -> None:
        self.sections: Sections = {}
        self._path = shown_path
        self._section: Optional[str] = None
        self._key = ""
        self._value: list[str] = []
        self._line = 0

    def read(self, number: int, line: str) -> Optional[str]:
        """Take one line without trailing blanks; the mistake in it, if there is one."""
        if line.startswith((" ", "\t")):
            return self._continue(line)
        self.finish_value()
        if not line or line.startswith(("#", ";")):
            return None
        if line.startswith("["):
            return self._open(line)
        return self._assign(number, line)

    def finish_value(self) -> None:
        if self._key and self._section is not None:
            written = Written("\n".join(self._value), f"{self._path}:{self._line}")
            self.sections[self._section][self._key] = written
        self._key = ""

    def _continue(self, line: str) -> Optional[str]:
        if not self._key:
            return "an indented line continues no value"
        self._value.append(line.lstrip())
        return None

    def _open(self, line: str) -> Optional[str]:
        if not line.endswith("]"):
            return "a section header does not end in ]"
        if len(line) <= 2:
            return "a section header is empty"
        self._section = normalized(line[1:-1])
        self.sections.setdefault(self._section, {})
        return None

    def _assign(self, number: int, line: str) -> Optional[str]:
        match = _SEPARATOR.search(line)
        if match is None:
            return "neither = nor : in the line"
        key, value = line[: match.start()].strip(), line[match.end() :].strip()
        if not key:
            return "no option name before the separator"
        if self._section is None:
            return "an option stands before the first [section]"
        self._key, self._value, self._line = key, [_unquoted(value)], number
        return None


def _unquoted(value: str) -> str:
    """Without the one pair of quotes round it; a single quote alone is such a pair to oslo."""
    if value and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
