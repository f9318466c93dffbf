"""The judge: lets the hosts' own Nova move a disk and looks whether it arrived in a usable way."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock

from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.oracle_disk import Disk
from tests.lab.oracle_session import Answer, Facts, NovaDoesNotStart, Session

Command = tuple[tuple[str, ...], "int | None", str]
"""argv, exit code (None: did not start, or was still running at the limit), stderr."""


@dataclass(frozen=True)
class Outcome:
    """What became of one cold migration, in Nova's own view.

    OK; R: rolled back, the guest never noticed; E-on, E-off: instance in ERROR, guest running or
    powered off; L: as E-off, and the disk is on neither host any more; H: still not done at the time
    limit; S: Nova is content but the disk is not where the destination looks for it; E-dest: it is
    there but qemu cannot read it.
    """

    pair: tuple[str, str]
    verdict: str
    message: str
    trace: tuple[Command, ...]
    mode_changed: tuple[str, str] | None = None
    """Mode of the destination's instances directory before and after, where Nova changed it; the
    old one has been put back."""


def migrate(
    fleet: Fleet,
    source: str,
    destination: str,
    transport: str | None = None,
    timeout: float = 60,
) -> Outcome:
    pairs = [(source, destination)]
    return _migrate(fleet, pairs, transport, timeout)[source, destination]


def migrate_all(
    fleet: Fleet, transport: str | None = None, timeout: float = 60
) -> dict[tuple[str, str], Outcome]:
    """Every ordered pair; two sources at a time, never two moves to one destination at once."""
    names = list(fleet.hosts)
    pairs = [(s, d) for s in names for d in names if s != d]
    return _migrate(fleet, pairs, transport, timeout)


def _migrate(
    fleet: Fleet, pairs: list[tuple[str, str]], transport: str | None, timeout: float
) -> dict[tuple[str, str], Outcome]:
    names = sorted({name for pair in pairs for name in pair})
    sources = sorted({source for source, _ in pairs})
    locks = {name: Lock() for name in names}
    with ThreadPoolExecutor(max_workers=2) as pool:
        # Loading takes seconds of one processor each, so two at a time.
        told = pool.map(lambda name: _facts(fleet.nova(name), transport), names)
        facts = dict(zip(names, told, strict=True))

        def leave(source: str) -> list[Outcome]:
            # Each source begins with another destination, so they seldom wait for each other.
            targets = _rotated(names, source, (d for s, d in pairs if s == source))
            outcomes: list[Outcome] = []
            for name in targets:
                with locks[name]:
                    move = Move(fleet.nova(source), fleet[name], transport, timeout)
                    outcomes.append(move.outcome(facts[source], facts[name]))
            return outcomes

        done = pool.map(leave, sources)
        return {outcome.pair: outcome for outcomes in done for outcome in outcomes}


def _facts(session: Session, transport: str | None) -> Facts | NovaDoesNotStart:
    try:
        return session.facts(transport)
    except NovaDoesNotStart as error:
        return error


def _rotated(names: list[str], source: str, targets: Iterable[str]) -> list[str]:
    start = names.index(source)
    return sorted(targets, key=lambda name: (names.index(name) - start) % len(names))


@dataclass(frozen=True)
class Move:
    source: Session
    destination: Host
    transport: str | None
    timeout: float

    def outcome(self, here: Facts | NovaDoesNotStart, there: Facts | NovaDoesNotStart) -> Outcome:
        pair = (self.source.host.name, self.destination.name)
        for facts in (here, there):
            if isinstance(facts, NovaDoesNotStart):
                return Outcome(pair, "E-on", str(facts), ())
        assert isinstance(here, Facts) and isinstance(there, Facts)
        paths = (here.instances_path, there.instances_path)
        disk = Disk(self.source.host, self.destination, str(uuid.uuid4()), *paths)
        disk.create()
        try:
            answer = self.source.move(disk.uuid, there.address, self.transport, self.timeout)
            outcome = _judged(pair, answer, disk)
        finally:
            changed = disk.clean_up()
        return replace(outcome, mode_changed=changed)


def _judged(pair: tuple[str, str], answer: Answer, disk: Disk) -> Outcome:
    verdict, message = answer.verdict, answer.message
    if verdict == "OK" and not disk.arrived():
        verdict, message = "S", f"no such disk on the destination: {disk.expected}"
    elif verdict == "OK":
        refused = disk.refused_to_qemu()
        verdict, message = ("E-dest", refused) if refused else ("OK", "")
    elif verdict == "E-off" and disk.lost():
        verdict = "L"
    return Outcome(pair, verdict, message, answer.trace)
