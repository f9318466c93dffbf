"""What the command ends with.  `status` and `Report.ready` are one rule: a test holds them together."""

from __future__ import annotations

from agent.model import Outcome, Report, Result, Role

READY, NOT_READY, USAGE, CANNOT_TELL, WORK_TO_DO, LOCKED = 0, 1, 2, 3, 4, 5


class Refusal(Exception):
    """A usage or configuration error: `args[0]` is for stderr."""


class TimeIsUp(BaseException):
    """Whatever is being done, it has taken longer than it may; `args[0]` says so.  No handler of failures is meant to hold it."""


def status(report: Report) -> int:
    """1 before 3 before 0 (the report's own rule of `ready`, with not knowing told apart)."""
    roles = {report.role_outcome(Role.SOURCE), report.role_outcome(Role.DESTINATION)}
    failed = any(row.outcome is Outcome.FAIL for row in report.peers)
    if Outcome.FAIL in roles or report.blamed:
        return NOT_READY
    if report.probed and not report.some_peer_passes and failed:
        return NOT_READY
    if Outcome.UNKNOWN in roles or (report.probed and not report.some_peer_passes):
        return CANNOT_TELL
    return READY


def fixed_status(report: Report) -> int:
    """This host's own side only: peers that do not accept us yet are somebody else's next step."""
    roles = {report.role_outcome(Role.SOURCE), report.role_outcome(Role.DESTINATION)}
    steps = any(result.result is not Result.DONE for result in report.applied)
    if Outcome.FAIL in roles or steps or report.blamed:
        return NOT_READY
    return CANNOT_TELL if Outcome.UNKNOWN in roles else READY
