"""A login of nova's may write a file as large as a guest's disk."""

from __future__ import annotations

from collections.abc import Iterator

from agent.formats.access import unanswered
from agent.model import (
    Absent,
    Check,
    Finding,
    Role,
    ServerConfig,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.settings import Settings

_SUBJECT = "file size limit"
_DISK = 1 << 30  # bytes; the smallest disk a flavor can have


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    limit, server = snapshot.largest_file, snapshot.server_for("")
    if not snapshot.host.live:
        yield skipped(_SUBJECT, "an image opens no session")
    elif isinstance(snapshot.account, Absent) or isinstance(server, Absent):
        yield skipped(_SUBJECT, f"{want.user} cannot log in here at all")
    elif not isinstance(server, ServerConfig):
        text = f"whether sshd uses PAM is not known: {server.reason}"
        yield unknown(_SUBJECT, unanswered(snapshot), text)
    elif isinstance(limit, Unreadable):
        yield unknown(_SUBJECT, "not_observed", limit.reason)
    elif limit.bytes is None:
        yield passed(_SUBJECT, f"a login of {want.user} may write files of any size")
    else:
        text = f"a login of {want.user} may write {limit.bytes} bytes to a file, expected no limit ({limit.origin})"
        say = failed if limit.bytes < _DISK else warned
        yield say(_SUBJECT, "file_size_limited", text)


CHECK = Check(
    id="file_size",
    role=Role.DESTINATION,
    summary="No limit on the size of files ends the copy of a disk",
    why=(
        "A limit that pam_limits sets, or that sshd itself was started with, lets mkdir and a small copy through and ends that of "
        "a disk, with the guest powered off. Below 1 GiB no disk passes; above, it depends on the guest."
    ),
    evaluate=evaluate,
    of_login=True,
)
