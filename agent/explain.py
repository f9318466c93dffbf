"""`agent explain`: what a check looks at, what a reason means and what to do about it.  Pure."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Sequence
from typing import Optional

from agent.model import Check
from agent.reasons import REASONS, Impact, Reason, Side

_SIDES = {
    Side.HERE: "this host",
    Side.PEER: "the peer",
    Side.NETWORK: "the network between the two",
    Side.INVENTORY: "the peer records (inventory)",
}
# nova/virt/libvirt/driver.py, migrate_disk_and_power_off; nova/compute/manager.py, _error_out_instance_on_exception.
IMPACTS: dict[Impact, tuple[str, str]] = {
    Impact.ROLLBACK: (
        "Nova gives up before it touches the guest: it keeps running, its state goes back to ACTIVE or STOPPED, and"
        " `openstack server show` shows no fault.",
        "Nothing to recover. Repair the cause and resize again. An empty directory of the guest may be left on the destination.",
    ),
    Impact.ERROR_RUNNING: (
        "The guest keeps running, but Nova sets it to ERROR.",
        "Look that the guest runs; then `openstack server set --state active` is safe in this class only.",
    ),
    Impact.ERROR_STOPPED: (
        "The guest has been powered off and stays in ERROR on the source.",
        "On the source: the guest's directory must hold its disk, no UUID_resize may be beside it and no copy may still run;"
        " then `openstack server reboot --hard`. Do not use `server set --state active`: it starts nothing.",
    ),
    Impact.ERROR_DESTINATION: (
        "The disk arrived and the guest cannot start there: ERROR, and Nova already counts it to the destination.",
        "Repair the destination, compare the disk there with UUID_resize on the source, then `openstack server reboot --hard`."
        " UUID_resize stays on the source until somebody removes it.",
    ),
    Impact.HANG: (
        "Nova has no time limit of its own: the resize stays in `resize_migrating`.",
        "Look whether the copy still runs on the source before you do anything; a hard reboot beside a running copy loses the disk.",
    ),
    Impact.WRONG_DISK: (
        "Nothing fails: the guest comes up on the destination with a BLANK disk and the resize waits to be confirmed.",
        "Do not confirm. `openstack server resize revert` brings the guest back to its disk, which is in UUID_resize on the source.",
    ),
    Impact.DISK_LOSS: (
        "Nova's own clean-up after a failed copy DELETES the guest's disk.",
        "Stop resizing between these hosts until the cause is gone. What is deleted comes back from a backup only.",
    ),
}


def text(word: str, checks: Sequence[Check]) -> Optional[str]:
    """The page for a reason code or a check id; None where it is neither."""
    pages = [_check(check) for check in checks if check.id == word]
    if word in REASONS:
        pages.append(_reason(REASONS[word]))
    return "\n".join(pages) or None


def nearest(word: str, checks: Sequence[Check]) -> list[str]:
    return difflib.get_close_matches(word, [*REASONS, *(check.id for check in checks)], n=3)


def index(checks: Sequence[Check]) -> str:
    """Everything there is to explain."""
    lines = ["Checks:", *(f"  {check.id:<22} {check.summary}" for check in checks), "", "Reasons:"]
    lines += [f"  {reason.code:<32} {reason.cause}" for reason in REASONS.values()]
    return "\n".join(lines) + "\n"


def _reason(reason: Reason) -> str:
    lines = [f"{reason.code}: {reason.cause}", ""]
    lines += _pair("who acts", _SIDES[reason.side])
    lines += _pair("what to do", reason.remedy)
    if reason.impact is not None:
        happens, recovery = IMPACTS[reason.impact]
        lines += _pair("what Nova does", f"{happens} (impact {reason.impact.value})")
        lines += _pair("recovery", recovery)
    else:
        lines += _pair("what Nova does", "nothing by itself: this alone fails no resize")
    if reason.stage is not None:
        lines += _pair(
            "shown by", f"a dial that passes the stage {reason.stage.value} disproves it"
        )
    return "\n".join(lines) + "\n"


def _check(check: Check) -> str:
    role = {"both": "source and destination"}.get(check.role.value, check.role.value)
    lines = [f"{check.id}: {check.summary}", "", *_pair("role", role), *_pair("why", check.why)]
    lines += _pair("run it alone", f"agent --only {check.id}")
    return "\n".join(lines) + "\n"


def _pair(name: str, value: str) -> list[str]:
    return textwrap.wrap(f"{name + ':':<16}{value}", 100, subsequent_indent=" " * 16)
