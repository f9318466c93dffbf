"""What an operator hands over to be explained, read piece by piece; and the names to explain it with."""

from __future__ import annotations

import os
from collections.abc import Iterator

from agent.formats.record import parse
from agent.host import Host
from agent.model import Record
from agent.observe.records import texts

_PIECE = 1 << 16


class CannotRead(Exception):
    """`args[0]` says which file, and why."""


def is_file(word: str) -> bool:
    """Whether the word names something to read: `-`, or whatever exists by that name."""
    return word == "-" or os.path.lexists(word)


def chunks(word: str) -> Iterator[bytes]:
    """Standard input, the file, or the word itself.  Raises CannotRead."""
    if not is_file(word):
        yield word.encode("utf-8", "surrogateescape")
        return
    try:
        with open(0 if word == "-" else word, "rb", closefd=word != "-") as source:
            while piece := source.read(_PIECE):
                yield piece
    except OSError as error:
        raise CannotRead(f"{word}: {error.strerror}") from None


def host_names(host: Host) -> dict[str, str]:
    """Name by address, of the peer records; one that cannot be used names nobody."""
    found = (parse(path, data) for path, data in texts(host) if isinstance(data, bytes))
    return {r.address: r.name for r in found if isinstance(r, Record) and r.present}
