"""Text that somebody else may have written, made safe to print.

A banner, a command's output or a file name can carry terminal control sequences, bidirectional
overrides or invisible letters.  Whatever is shown to a person passes through here first.
"""

from __future__ import annotations

import re

ELLIPSIS = "…"

_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

# Letters by category, but drawn as nothing: isprintable() lets them pass.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def visible(text: str, limit: int = 300) -> str:
    """At most `limit` printable characters; what was cut off shows as an ellipsis."""
    shown: list[str] = []
    room = limit
    # One character more than fits tells that something is cut, without walking megabytes.
    for character in text[: limit + 1]:
        piece = _escaped(character)
        room -= len(piece)
        shown.append(piece)
    if room >= 0:
        return "".join(shown)
    return _cut(shown, limit)


def visible_bytes(data: bytes, limit: int = 300) -> str:
    """The same for bytes; those that are not UTF-8 appear as `\\xNN`."""
    # A character has at most four bytes; one more character shows that something is cut.
    head = data[: 4 * (limit + 2)]
    return visible(head.decode("utf-8", "surrogateescape"), limit)


def _escaped(character: str) -> str:
    if character.isprintable() and not _INVISIBLE.match(character):
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape could not decode
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _cut(pieces: list[str], limit: int) -> str:
    """As many whole pieces as leave room for the ellipsis: half an escape would mislead."""
    kept: list[str] = []
    room = limit - len(ELLIPSIS)
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return ("".join(kept) + ELLIPSIS)[: max(limit, 0)]
