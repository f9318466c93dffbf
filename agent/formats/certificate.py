"""`ssh-keygen -L`: how long a user certificate is valid (ssh-keygen(1), CERTIFICATES)."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple, Optional

_VALID = re.compile(
    r"^\s*Valid: (?P<forever>forever)?"
    r"(?:from (?P<start>\S+))?(?:after (?P<after>\S+))?(?: to (?P<end>\S+))?(?:before (?P<before>\S+))?\s*$",
    re.MULTILINE,
)


class Validity(NamedTuple):
    """UTC; None where there is no limit on that side."""

    start: Optional[datetime] = None
    end: Optional[datetime] = None


def validity(text: str) -> Optional[Validity]:
    """From the output of `ssh-keygen -L` run with TZ=UTC; None where it does not say."""
    match = _VALID.search(text)
    if match is None:
        return None
    try:
        return Validity(
            _moment(match["start"] or match["after"]), _moment(match["end"] or match["before"])
        )
    except ValueError:
        return None


def _moment(text: Optional[str]) -> Optional[datetime]:
    if text is None:
        return None
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
