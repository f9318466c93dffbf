"""Which blocks of an ssh_config(5) could tell one peer from another."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SELECTIVE = ("host", "match")
# Patterns of `Host` with what neither a host's name nor an address has in it, as records have them.
_NOBODY = re.compile(r"\.|[^!\"]*[/,]")


def selective(text: bytes) -> bool:
    """Whether there is a block for some peers and not for others, or a file of unknown content is read."""
    return any(map(_selects, text.decode("utf-8", "replace").splitlines()))


def _selects(line: str) -> bool:
    words = line.replace("=", " ").split()
    if not words:
        return False
    if words[0].lower() in _SELECTIVE:
        return not _for_all_or_none(words)
    return words[0].lower() == "include" and "ssh_config.d" not in line


def _for_all_or_none(words: Sequence[str]) -> bool:
    """Whether the block is for everybody, or for names that no peer can have.

    systemd (256 and later) ships `Host .host unix/* vsock/* machine/*`: each peer would be asked about for nothing.
    """
    if words[1:] in (["*"], ["all"]):
        return True
    return words[0].lower() == "host" and all(map(_NOBODY.match, words[1:]))
