"""How this host is laid out: where nova-compute and the sshd that peers reach live."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import Check, Finding, Role, Snapshot, Unreadable, passed, unknown
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    layout = snapshot.layout
    if isinstance(layout, Unreadable):
        code = "layout_unclear" if snapshot.host.privileged else "needs_root"
        yield unknown("layout", code, layout.reason)
    else:
        yield passed("layout", f"{layout.profile}: {layout.why}")


CHECK = Check(
    id="layout",
    role=Role.BOTH,
    summary="It is known where nova-compute and sshd live",
    why=(
        "Deployers put nova-compute and the sshd that peers reach into containers, or give peers another account to log in as. "
        "What is looked at in the wrong place says nothing about a resize."
    ),
    evaluate=evaluate,
)
