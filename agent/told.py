"""A report as it came from report.json: read without trust in its shape, with its age.

A report that is missing, expired, from the future or of a version nobody here knows says nothing about the host now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

FAIL, UNKNOWN, WARN, PASS, SKIP = "fail", "unknown", "warn", "pass", "skip"
BAD = (FAIL, UNKNOWN, WARN)
# A report may be this far ahead of the reader's clock: they are the same clock, set while we looked.
_AHEAD = timedelta(minutes=1)
_KNOWN_VERSION = 1

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    document: Row
    now: datetime

    @property
    def taken_at(self) -> Optional[datetime]:
        return moment(self.document.get("taken_at"))

    @property
    def doubt(self) -> str:
        """Why this report says nothing about now; empty where it does."""
        taken, until = self.taken_at, moment(self.document.get("valid_until"))
        if not self.document:
            return "There is no report yet."
        if self.document.get("schema_version") != _KNOWN_VERSION:
            return "The report was written by another version of the agent."
        if taken is None or until is None:
            return "The report does not say when it was taken."
        if taken > self.now + _AHEAD:
            return "The report is from the future: the clock was set back."
        return "" if self.now < until else f"The last report is {ago(self.now - taken)} old."

    @property
    def fresh(self) -> bool:
        return not self.doubt

    @property
    def whole(self) -> bool:
        """A run that looked at a part only can find faults and cannot find readiness."""
        said = self.document
        return said.get("scope") == "full" and said.get("interrupted") is False

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `unknown`, of the whole host, now."""
        if not self.fresh:
            return UNKNOWN
        if self.whole and self.document.get("ready") is True:
            return PASS
        failed = any(row.get("outcome") == FAIL for row in rows(self.document, "peers"))
        return FAIL if failed or FAIL in map(self.role, ("source", "destination")) else UNKNOWN

    def role(self, role: str) -> str:
        """`pass`, `fail` or `unknown`, of one role, now."""
        if not self.fresh:
            return UNKNOWN
        said = mapping(mapping(self.document, "roles"), role)
        if self.whole and said.get("ready") is True:
            return PASS
        failed = any(
            finding.get("outcome") == FAIL and not finding.get("peer")
            for check, finding in self.findings()
            if check.get("role") in (role, "both")
        )
        return FAIL if failed else UNKNOWN

    def findings(self) -> Iterator[tuple[Row, Row]]:
        for check in rows(self.document, "checks"):
            for finding in rows(check, "findings"):
                yield check, finding


def mapping(row: Row, key: str) -> Row:
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}


def rows(row: Row, key: str) -> list[Row]:
    value = row.get(key)
    return [r for r in value if isinstance(r, Mapping)] if isinstance(value, list) else []


def text(row: Row, key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def moment(value: object) -> Optional[datetime]:
    try:
        seen = datetime.strptime(str(value), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return seen.replace(tzinfo=timezone.utc)


def ago(span: timedelta) -> str:
    """`40 seconds`, `3 minutes`, `2 hours`, `5 days`: the largest unit of which there are two."""
    seconds = max(int(span.total_seconds()), 0)
    for size, noun in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {noun}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
