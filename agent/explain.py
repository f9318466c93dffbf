"""`agent explain`: what a check looks at, what a reason means, what became of a resize, and what to do about it.  Pure."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Optional

from agent.formats.escape import visible
from agent.formats.nova_log import Finished
from agent.formats.nova_recovery import GROWS
from agent.formats.nova_story import ARRIVED, Story
from agent.formats.nova_told import Told
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
        "Check on the source that the guest runs (virsh list), then `openstack server set --state active`: safe in this class only.",
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
        "See whether the copy still runs on the source before you do anything: a hard reboot beside a running copy loses the disk.",
    ),
    Impact.WRONG_DISK: (
        "Nothing fails: the guest comes up on the destination with a BLANK disk and the resize waits to be confirmed.",
        "Do not confirm. `openstack server resize revert` brings the guest back to its disk, which is in UUID_resize on the source."
        " After a confirm a copy may still lie where nobody looks, on either host: in UUID below the source's instances path, or"
        " below a mount point.",
    ),
    Impact.DISK_LOSS: (
        "Nova's own clean-up after a failed copy DELETES the guest's disk.",
        "Stop resizing between these hosts until the cause is gone. Do not start the guest before you know whose disk stands in UUID: it may"
        " be that of an earlier resize. What is deleted comes back from a backup only.",
    ),
}


def page(word: Optional[str], checks: Sequence[Check]) -> Optional[str]:
    """All there is without a word; None where the word is no code."""
    return index(checks) if word is None else text(word, checks)


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
        lines += _pair("disproved by", f"a dial that passes the stage {reason.stage.value}")
    return "\n".join(lines) + "\n"


def _check(check: Check) -> str:
    role = {"both": "source and destination"}.get(check.role.value, check.role.value)
    lines = [f"{check.id}: {check.summary}", "", *_pair("role", role), *_pair("why", check.why)]
    lines += _pair("run it alone", f"agent --only {check.id}")
    return "\n".join(lines) + "\n"


def _pair(name: str, value: str) -> list[str]:
    label = f"{name}:" if name else ""
    return textwrap.wrap(
        value,
        100,
        initial_indent=f"{label:<16}",
        subsequent_indent=" " * 16,
        break_long_words=False,
        break_on_hyphens=False,
    )


def document(word: Optional[str], checks: Sequence[Check]) -> Optional[str]:
    """The page for a code as JSON, all of them without a word; None where it is neither."""
    found_checks = [check for check in checks if word in (None, check.id)]
    found = [reason for reason in REASONS.values() if word in (None, reason.code)]
    if not found_checks and not found:
        return None
    content = {
        "schema_version": 1,
        "checks": [
            {"id": c.id, "role": c.role.value, "summary": c.summary, "why": c.why}
            for c in found_checks
        ],
        "reasons": [_as_data(reason) for reason in found],
    }
    return json.dumps(content, indent=2) + "\n"


def _as_data(reason: Reason) -> dict[str, Optional[str]]:
    happens, recovery = IMPACTS[reason.impact] if reason.impact else (None, None)
    return {
        "code": reason.code,
        "cause": reason.cause,
        "side": reason.side.value,
        "impact": reason.impact.value if reason.impact else None,
        "stage": reason.stage.value if reason.stage else None,
        "remedy": reason.remedy,
        "happens": happens,
        "recovery": recovery,
    }


def history(told: Told) -> str:
    """What a fault text, openstack's answer or a log tells, for a person."""
    lines: list[str] = []
    for number, story in enumerate(told.stories, 1):
        lines += [*_story(story, f"{number} of {len(told.stories)}: "), ""]
    if not told.stories and told.kind == "log":
        lines += ["No failed resize or cold migration in this log.", ""]
    elif not told.recognised:
        lines += [*_unrecognised(), ""]
    for note in told.notes:
        lines += [*textwrap.wrap(note, 100), ""]
    if told.finished:
        lines += [*_finished(told.finished), ""]
    return "\n".join(lines[:-1]) + "\n"


def history_document(told: Told) -> str:
    content = {
        "schema_version": 1,
        "kind": told.kind,
        "recognised": told.recognised,
        "failures": [asdict(story) for story in told.stories],
        "finished": [
            {
                "guest": visible(f.uuid, 40),
                "host": visible(f.host, 100),
                "time": visible(f.time, 40),
            }
            for f in told.finished
        ],
        "in_the_guest": list(GROWS) if told.finished else [],
        "notes": told.notes,
    }
    return json.dumps(content, indent=2) + "\n"


def _story(story: Story, number: str) -> Iterator[str]:
    yield f"{number if not number.startswith('1 of 1:') else ''}{story.reason}: {story.cause}"
    yield ""
    yield from _pair("pair", _pair_of(story))
    if story.guests:
        more = (
            f" and {story.count - len(story.guests)} more"
            if story.count > len(story.guests)
            else ""
        )
        yield from _pair("guest", ", ".join(story.guests) + more)
    if story.first:
        times = story.first if story.first == story.last else f"{story.first} to {story.last}"
        count = f" ({story.count} times)" if story.count > 1 else ""
        yield from _pair("when", times + count)
    if story.requests:
        yield from _pair("request", ", ".join(story.requests))
    if story.command:
        status = "" if story.exit_code is None else f"  (exit code {story.exit_code})"
        yield from _pair("Nova ran", story.command + status)
    if story.saw:
        yield from _pair("and saw", story.saw)
    if story.cut:
        yield from _pair("cut", _cut(story))
    yield from _pair("who acts", _WHO.get(story.side, "not told by this text"))
    yield from _pair("what to do", story.remedy)
    for check in story.caught_by:
        yield from _pair("seen before by", check)
    if story.prove:
        yield f"{'prove it:':<16}on the {story.prove_on} (in nova-compute's container where there is one):"
        yield f"{'':<16}{story.prove}"
    yield from _pair("the guest", f"{story.leaves} ({_impact(story)})")
    yield from _pair("told by", story.told_by)
    yield f"{'recovery:':<16}D={story.directory}"
    for step, text in enumerate(story.recovery, 1):
        yield from _pair("", f"{step}. {_shortened(text, story.directory)}")


def _shortened(text: str, directory: str) -> str:
    """As a shell reads it with D set: the path six times over would hide the sentence."""
    return text.replace(f"{directory}_resize", "${D}_resize").replace(directory, "$D")


_WHO = {
    "source": "the source",
    "destination": "the destination",
    "network": "the network between the two",
    "inventory": "the peer records (inventory)",
}


def _impact(story: Story) -> str:
    return f"impact {story.impact}" if story.impact else "impact not known"


def _pair_of(story: Story) -> str:
    address = "" if story.state in [state.value for state in ARRIVED] else story.address
    there = story.destination or address
    if story.destination and address:
        there = f"{story.destination} ({address})"
    return f"{story.source or 'the source'} -> {there or 'the destination'}"


def _cut(story: Story) -> str:
    where = (
        "Nova's API keeps 255 characters of a fault. The whole text is in nova-compute.log of the source (or, as admin, in"
        " `openstack server event show SERVER REQUEST`): agent explain /var/log/nova/nova-compute.log"
    )
    if story.candidates:
        return f"what is left fits {' or '.join(story.candidates)}. {where}"
    return where


def _unrecognised() -> list[str]:
    return [
        *textwrap.wrap(
            "unclassified: nothing here is known to come from a resize: neither a command of Nova's with its failure, nor"
            " words of ssh, scp or rsync.",
            100,
        ),
        *textwrap.wrap(
            "The whole text of a failure is in nova-compute.log of the source: agent explain /var/log/nova/nova-compute.log"
            " (one that is packed: zcat FILE | agent explain -)",
            100,
            break_on_hyphens=False,
        ),
    ]


def _finished(finished: Sequence[Finished]) -> list[str]:
    shown = [
        f"{visible(f.uuid, 40)}{f' on {visible(f.host, 100)}' if f.host else ''}" for f in finished
    ]
    more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
    lines = textwrap.wrap(f"Arrived and running: {', '.join(shown[:10])}{more}", 100)
    for text in GROWS:
        lines += textwrap.wrap(text, 100)
    return lines
