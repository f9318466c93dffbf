"""What a login may use up at most."""

from __future__ import annotations

from typing import NamedTuple, Optional


class SizeLimit(NamedTuple):
    """The largest file, in bytes, that a login may write (RLIMIT_FSIZE); None where there is no limit.

    `origin` is what says so: a file, its line and the line's text, or the process it is inherited from.
    """

    bytes: Optional[int]
    origin: str
