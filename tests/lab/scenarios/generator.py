"""`python3 -m tests.lab.scenarios.generator --minutes 20 [--seed N] [--jobs 2]`: random pairs and triples of faults.

Where the agent's word is not Nova's, the parts are taken away one by one until what is left no longer differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.lab.scenarios import judge
from tests.lab.scenarios.__main__ import detail, line
from tests.lab.scenarios.combine import combine, named, together
from tests.lab.scenarios.fault import Fault
from tests.lab.scenarios.golden import KINDS
from tests.lab.scenarios.runner import Bench, Result, bench, require_root, run_one
from tests.lab.scenarios.table import SINGLE

LAB_ERROR = "lab error"
WRONG = (judge.FALSE_READY, judge.FALSE_NOT_READY)
PAIRS = 0.6
"""How many of the combinations have two parts; the others have three."""
BY_NAME = {fault.name: fault for fault in SINGLE}
Row = tuple[Fault, str]


def rows(seed: int, kinds: Sequence[str] = KINDS) -> Iterator[Row]:
    """Combinations that go together, for ever; the same ones for the same seed and table."""
    dice = random.Random(seed)
    pool = [fault for fault in SINGLE if any(_scripts_or_more(fault))]
    while True:
        parts = dice.sample(pool, 2 if dice.random() < PAIRS else 3)
        kind = dice.choice(kinds)
        if together(parts) and not (kind == "agent" and any(f.by_hand_only for f in parts)):
            yield combine(parts), kind


def _scripts_or_more(fault: Fault) -> tuple[object, ...]:
    return fault.a, fault.b, fault.a_after, fault.b_after, fault.environment


def disagrees(result: Result) -> bool:
    return result.verdict in WRONG or (bool(result.notes) and result.verdict != LAB_ERROR)


def shrunk(result: Result, run: Callable[[Fault, str], Result]) -> Result:
    """The smallest combination that still disagrees in the same way, `run` once for each tried."""
    parts = result.fault.parts
    for leaving in range(len(parts)):
        rest = [*parts[:leaving], *parts[leaving + 1 :]]
        smaller = run(rest[0] if len(rest) == 1 else combine(rest), result.kind)
        if disagrees(smaller) and smaller.verdict == result.verdict:
            return shrunk(smaller, run)
    return result


@dataclass
class Hunt:
    """One run of the generator, shared by its workers."""

    shared: Bench
    todo: Iterator[Row]
    end: float
    save: Path | None
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    found: list[Result] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def work(self) -> None:
        while time.monotonic() < self.end:
            with self.turn:
                fault, kind = next(self.todo, (None, ""))
            if fault is None:
                return
            self.look(run_one(self.shared, fault, kind))

    def look(self, result: Result) -> None:
        differs = disagrees(result)
        least = shrunk(result, partial(run_one, self.shared)) if differs else result
        with self.turn:
            self.counts[result.verdict] += 1
            print(line(result), flush=True)
            if result.verdict == LAB_ERROR:
                print(f"      skipped: {result.nova_said[-300:]!r}", flush=True)
            elif differs:
                self.found.append(least)
                print(f"DISAGREES (seed {self.seed}), least: {line(least)}", flush=True)
                print(detail(least), flush=True)
            elif not result.good:
                print(detail(result), flush=True)
            if differs and self.save:
                self._keep(result, least)

    def _keep(self, result: Result, least: Result) -> None:
        assert self.save is not None
        kept = {
            "seed": self.seed,
            "drawn": result.fault.name,
            "least": least.fault.name,
            "kind": result.kind,
            "verdict": result.verdict,
            "nova": least.nova,
            "notes": least.notes,
            "why": least.word.why if least.word else (),
        }
        with self.save.open("a") as out:
            print(json.dumps(kept), file=out)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.scenarios.generator")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fleet", choices=KINDS, help="how the pair was provisioned (both)")
    parser.add_argument("--save", type=Path, help="append each disagreement, one JSON object")
    parser.add_argument("--only", nargs="+", help="these combinations instead: 'ROW + ROW' ...")
    options = parser.parse_args()
    require_root()
    sys.stdout.reconfigure(errors="backslashreplace")  # shells say all kinds of bytes
    kinds = KINDS if options.fleet is None else (options.fleet,)
    print(f"seed {options.seed}", flush=True)
    if options.only:
        todo = iter([(named(name, BY_NAME), kind) for name in options.only for kind in kinds])
    else:
        todo = rows(options.seed, kinds)
    end = time.monotonic() + 60 * options.minutes
    with bench() as shared, ThreadPoolExecutor(max_workers=options.jobs) as pool:
        hunt = Hunt(shared, todo, end, options.save, options.seed)
        for worker in [pool.submit(hunt.work) for _ in range(options.jobs)]:
            worker.result()
    print(", ".join(f"{number} {verdict}" for verdict, number in sorted(hunt.counts.items())))
    print(
        f"seed {options.seed}: {sum(hunt.counts.values())} combinations,"
        f" {hunt.counts[LAB_ERROR]} skipped, {len(hunt.found)} disagree"
    )
    return 1 if hunt.found else 0


if __name__ == "__main__":
    sys.exit(main())
