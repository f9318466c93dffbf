"""Faults on real hosts, one after another: what Nova makes of the pair and what the agent says of it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import jsonschema

from tests.lab.fleet import Fleet
from tests.lab.host import Host, LabError, end
from tests.lab.oracle import Outcome
from tests.lab.oracle_session import ENVIRONMENT
from tests.lab.provision import Run, agent, assert_valid, on_each
from tests.lab.scenarios import judge
from tests.lab.scenarios.fault import DESTINATION, SOURCE, Fault, preamble
from tests.lab.scenarios.golden import Golden, provision, thawed
from tests.lab.scenarios.repair import Repair, hand_round_known, repair
from tests.lab.scenarios.warm_nova import WarmNova
from tests.lab.tree import SUITE

LIMIT = 30.0
"""Seconds for one move; a good one takes two."""
NO_CRASH = (0, 1, 3)


@dataclass(frozen=True)
class Result:
    fault: Fault
    kind: str
    verdict: str
    """One of judge.VERDICTS, or "lab error"."""
    nova: str = ""
    nova_said: str = ""
    word: judge.Word | None = None
    notes: tuple[str, ...] = ()
    """What is wrong beside the verdict: an invalid report, a crashed check, a bad repair."""
    seconds: float = 0.0
    repaired: Repair | None = None
    nova_after: str = ""
    after: judge.Word | None = None

    @property
    def good(self) -> bool:
        return self.verdict in judge.GOOD and not self.notes


@dataclass
class Bench:
    """What all rows share: a loaded Nova and each kind of provisioned pair, made at first use."""

    nova: WarmNova
    _golden: dict[tuple[str, bool], Golden] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def golden(self, kind: str, *, ipv6: bool) -> Golden:
        with self._making:
            if (kind, ipv6) not in self._golden:
                self._golden[kind, ipv6] = provision(kind, ipv6=ipv6, suite=self.nova.suite)
            return self._golden[kind, ipv6]


@contextmanager
def bench(suite: str = SUITE) -> Iterator[Bench]:
    with WarmNova(suite) as nova:
        yield Bench(nova)


def run_all(
    shared: Bench,
    work: list[tuple[Fault, str]],
    *,
    jobs: int,
    fix: bool,
    tell: Callable[[Result], None],
) -> list[Result]:
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(run_one, shared, fault, kind, fix=fix) for fault, kind in work]
        results: list[Result] = []
        for future in as_completed(futures):
            results.append(future.result())
            tell(results[-1])
        return results


def run_one(shared: Bench, fault: Fault, kind: str, *, fix: bool = False) -> Result:
    started = time.monotonic()
    try:
        return _run(shared, fault, kind, fix, started)
    except (LabError, subprocess.TimeoutExpired, AssertionError, ValueError, OSError) as error:
        spent = time.monotonic() - started
        said = f"{type(error).__name__}: {error}"
        return Result(fault, kind, "lab error", nova_said=said, seconds=spent)


def _run(shared: Bench, fault: Fault, kind: str, fix: bool, started: float) -> Result:
    with thawed(shared.golden(kind, ipv6=fault.ipv6)) as fleet, ExitStack() as stack:
        notes = _inject(fleet, fault, kind)
        if fault.environment:
            stack.enter_context(_nova_compute(fleet[SOURCE], fault.environment))
        runs = _ask(fleet)
        nova = _move(shared, fleet, fault)
        said = judge.word(runs[SOURCE], runs[DESTINATION])
        verdict = judge.compare(fault, kind, said, nova)
        notes += _complaints(runs)
        result = Result(
            fault, kind, verdict, nova.verdict, nova.message, said, tuple(notes), repaired=None
        )
        if fix and not said.ready:
            result = _repaired(shared, fleet, result, runs)
        spent = time.monotonic() - started
        return Result(**{**result.__dict__, "seconds": spent})


def _inject(fleet: Fleet, fault: Fault, kind: str) -> list[str]:
    words = preamble(kind, fleet[SOURCE].address, fleet[DESTINATION].address)
    notes: list[str] = []
    for name, script in ((SOURCE, fault.a), (DESTINATION, fault.b)):
        if script:
            fleet[name].sh(words + script, timeout=120)
    for host in fleet:
        with suppress(LabError):  # an sshd that does not start is a fault like any other
            host.start_sshd()
    for name, script in ((SOURCE, fault.a_after), (DESTINATION, fault.b_after)):
        if script:
            fleet[name].sh(words + script, timeout=120)
    if fault.records:
        hand_round_known(fleet)
    return notes


@contextmanager
def _nova_compute(host: Host, environment: Mapping[str, str]) -> Iterator[None]:
    """Something of that name and environment: all that there is of a running nova-compute to be seen."""
    words = [f"{name}={value}" for name, value in {**ENVIRONMENT, **environment}.items()]
    asleep = ["/bin/bash", "-c", "exec -a nova-compute /bin/sleep infinity"]
    process = host.spawn(["env", "-i", *words, *asleep], user="nova")
    try:
        yield
    finally:
        end(process)


def _ask(fleet: Fleet) -> dict[str, Run]:
    return on_each(fleet, lambda host: agent(host, "--peer-timeout", "10"))


def _move(shared: Bench, fleet: Fleet, fault: Fault) -> Outcome:
    return shared.nova.migrate(
        fleet, SOURCE, DESTINATION, limit=LIMIT, environment=fault.environment
    )


def _complaints(runs: Mapping[str, Run]) -> list[str]:
    notes: list[str] = []
    for name, run in runs.items():
        if run.status not in NO_CRASH or "Traceback" in run.stderr:
            notes.append(f"{name}: exit {run.status}: {run.stderr[-300:]}")
        for reason in ("check_crashed", "prediction_disagrees"):
            notes += [f"{name}: {reason}: {f['message']}" for f in run.about(reason)]
        try:
            assert_valid(run.report)
        except jsonschema.ValidationError as error:
            notes.append(f"{name}: not valid: {error.message[:200]}")
    return notes


def _repaired(shared: Bench, fleet: Fleet, result: Result, before: dict[str, Run]) -> Result:
    done = repair(fleet, before)
    after = _ask(fleet)
    nova = _move(shared, fleet, result.fault)
    said = judge.word(after[SOURCE], after[DESTINATION])
    notes = list(result.notes)
    if done.promised and nova.verdict != "OK":
        notes.append(f"called fixable, and after --fix Nova says {nova.verdict}: {nova.message}")
    accepted = result.verdict == judge.ACCEPTED or result.fault.unseen
    if said.ready != (nova.verdict == "OK") and not accepted:
        notes.append(f"after --fix: agent says ready={said.ready}, Nova {nova.verdict}")
    notes += [f"changed without a step, or loosened: {path}" for path in done.trespasses]
    return Result(
        **{
            **result.__dict__,
            "notes": tuple(notes),
            "repaired": done,
            "nova_after": nova.verdict,
            "after": said,
        }
    )


def require_root() -> None:
    if os.geteuid() != 0:
        raise SystemExit("the scenarios build hosts out of namespaces and mounts: run them as root")
