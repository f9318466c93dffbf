"""The programs that Nova starts on the source are there."""

from __future__ import annotations

from collections.abc import Iterator

from agent.formats.access import unseen
from agent.model import (
    Absent,
    Check,
    Finding,
    NovaConfig,
    Role,
    Snapshot,
    failed,
    passed,
    unknown,
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    for name in ("ssh", _copier(snapshot)):
        tool = snapshot.tools.get(name)
        if tool is None:
            yield unknown(name, unseen(snapshot), f"nobody looked for {name}")
        elif isinstance(tool.path, Absent):
            text = f"{name} is not in nova-compute's PATH, expected it there"
            yield failed(name, _reason(snapshot, name), text)
        elif not tool.executable:
            text = f"{tool.path} cannot be started by {want.user}, expected an executable file"
            yield failed(name, _reason(snapshot, name), text)
        else:
            yield passed(name, f"{name} is {tool.path}")


def _reason(snapshot: Snapshot, name: str) -> str:
    """What Nova makes of it depends on when it first starts the program."""
    if name == "scp":
        return "scp_missing"
    return "rsync_without_ssh" if name == "ssh" and _copier(snapshot) == "rsync" else "tool_missing"


def _copier(snapshot: Snapshot) -> str:
    rsync = isinstance(snapshot.nova, NovaConfig) and snapshot.nova.transport == "rsync"
    return "rsync" if rsync else "scp"


CHECK = Check(
    id="client_tools",
    role=Role.SOURCE,
    summary="ssh and scp (or rsync) are installed",
    why=(
        "nova-compute starts them by name. A missing ssh ends the resize at once; a missing scp only after the guest was "
        "powered off."
    ),
    evaluate=evaluate,
)
