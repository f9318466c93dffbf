"""How a file shared with ssh, people and tools is edited, a line at a time.

Such a file is never rewritten, because somebody may append to it at any moment.  Lines are added
by one O_APPEND write and withdrawn by overwriting their first byte with `#`.  Every function here
says what these two would do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Optional

_KEY = re.compile(rb"[^ \t]+[ \t]+AAAA[A-Za-z0-9+/]+={0,2}")


def numbered(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Line numbers as ssh counts them, and the lines without their newline."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return enumerate(lines, start=1)


def active(raw: bytes) -> bytes:
    """What ssh reads of a line: from the first non-blank up to a NUL.  Empty for a comment."""
    text = raw.partition(b"\0")[0].lstrip(b" \t")
    return b"" if text.startswith(b"#") or not text.rstrip(b"\r") else text


def missing(data: bytes, present: Sequence[bytes]) -> tuple[bytes, ...]:
    """Those of `present` that are not a whole active line of `data`, each once and in order."""
    there = {_without_cr(line) for line in data.split(b"\n")}
    wanted: dict[bytes, bytes] = {}
    for line in _checked(present):
        wanted.setdefault(_without_cr(line), line)
    return tuple(line for text, line in wanted.items() if text not in there)


def appended(data: bytes, present: Sequence[bytes]) -> bytes:
    """The bytes of the one write that adds what is missing."""
    lines = missing(data, present)
    if not lines:
        return b""
    # Without this the first line would merge with a last one that nobody ended.
    lead = b"\n" if data and not data.endswith(b"\n") else b""
    return lead + b"".join(line + b"\n" for line in lines)


def withdrawals(data: bytes, absent: Sequence[bytes]) -> tuple[tuple[int, int], ...]:
    """(offset, length) of every active line equal to one of `absent`."""
    unwanted = {_without_cr(line) for line in absent if active(line)}
    found = []
    offset = 0
    for line in data.split(b"\n"):
        if _without_cr(line) in unwanted:
            found.append((offset, len(line)))
        offset += len(line) + 1
    return tuple(found)


def torn(data: bytes, present: Sequence[bytes]) -> Optional[int]:
    """Offset of an unterminated last line that is the beginning of one of ours: a crash left it.

    A beginning that ends with the whole key is spared.  It works, and it may be somebody's line
    without a comment.
    """
    offset = data.rfind(b"\n") + 1
    last = _without_cr(data[offset:])
    ours = {_without_cr(line) for line in present}
    if not last or last in ours:
        return None
    begun = (line for line in ours if line.startswith(last))
    return offset if any(not _ends_with_key(line, last) for line in begun) else None


def result(data: bytes, present: Sequence[bytes], absent: Sequence[bytes]) -> bytes:
    """The text after the edit.  A line that is in both lists stays."""
    kept = {_without_cr(line) for line in present}
    dropped = [line for line in absent if _without_cr(line) not in kept]
    text = bytearray(data)
    for offset, _ in withdrawals(data, dropped):
        text[offset] = 0x23
    broken = torn(data, present)
    if broken is not None:
        text[broken] = 0x23
    return bytes(text) + appended(data, present)


def _ends_with_key(line: bytes, beginning: bytes) -> bool:
    """Whether `beginning` reaches exactly to the end of the key in `line`, blanks aside."""
    return any(match.end() == len(beginning.rstrip(b" \t")) for match in _KEY.finditer(line))


def _without_cr(line: bytes) -> bytes:
    """A tool that turned the file into CRLF has not changed what the line says."""
    return line[:-1] if line.endswith(b"\r") else line


def _checked(present: Sequence[bytes]) -> Sequence[bytes]:
    for line in present:
        # Such a line could never be found again and would be added by every run.
        if not active(line) or b"\n" in line:
            raise ValueError(f"not a line to add: {line!r}")
    return present
