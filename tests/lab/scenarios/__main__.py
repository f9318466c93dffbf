"""`python3 -m tests.lab.scenarios [--only PATTERN] [--fleet by-hand|agent] [--jobs 2] [--fix]`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.lab.scenarios import judge, releases, truth
from tests.lab.scenarios.fault import Fault
from tests.lab.scenarios.golden import KINDS
from tests.lab.scenarios.runner import Result, bench, require_root, run_all
from tests.lab.scenarios.table import FAULTS, work
from tests.lab.tree import SUITE, SUITES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.scenarios", description=__doc__)
    parser.add_argument("--only", default="", help="regular expression the row's name contains")
    parser.add_argument("--fleet", choices=KINDS, help="how the pair was provisioned (both)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fix", action="store_true", help="repair each fault and ask once more")
    parser.add_argument(
        "--suite", choices=SUITES, default=SUITE, help="release of Debian (%(default)s)"
    )
    parser.add_argument("--builds", action="store_true", help="only those of releases.py")
    parser.add_argument("--ci", action="store_true", help="only the selection that CI runs")
    parser.add_argument("--list", action="store_true", help="print the rows and run none")
    parser.add_argument("-v", "--verbose", action="store_true", help="what was said, for every row")
    parser.add_argument("--save", type=Path, help="append one JSON object for each row")
    parser.add_argument("--resume", action="store_true", help="leave out rows that --save has")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="write the page docs/truth*.md of the suite (with --save from all it has)",
    )
    options = parser.parse_args()
    chosen = [f for f in FAULTS if re.search(options.only, f.name) and (f.ci or not options.ci)]
    if options.builds:
        chosen = [fault for fault in chosen if fault.name in releases.chosen(options.suite)]
    if options.list:
        print("\n".join(fault.name for fault in chosen))
        return 0
    require_root()
    sys.stdout.reconfigure(errors="backslashreplace")  # shells say all kinds of bytes
    started = time.monotonic()

    def tell(result: Result) -> None:
        print(line(result), flush=True)
        if options.verbose or not result.good:
            print(detail(result), flush=True)
        if options.save:
            with options.save.open("a") as out:
                print(json.dumps(dataclasses.asdict(result)), file=out)

    with bench(options.suite) as shared:
        chosen = [releases.on(options.suite, fault) for fault in chosen]
        planned = work(chosen, KINDS if options.fleet is None else (options.fleet,))
        kept = rows(options.save) if options.resume else []
        done = {f"{row['fault']['name']} {row['kind']}" for row in kept}
        planned = [row for row in planned if key(*row) not in done]
        results = run_all(shared, planned, jobs=options.jobs, fix=options.fix, tell=tell)
    if options.write_docs:
        truth.write(options.suite, [*rows(options.save), *map(dataclasses.asdict, results)])
    counts = Counter(result.verdict for result in results)
    noted = sum(1 for result in results if result.notes)
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in (*judge.VERDICTS, "lab error")))
    print(f"{len(results)} rows, {noted} with notes, {time.monotonic() - started:.0f} s")
    return 0 if all(result.good for result in results) else 1


def rows(path: Path | None) -> list[dict[str, Any]]:
    """What `--save` has kept, of this run and earlier ones."""
    if path is None or not path.exists():
        return []
    return [json.loads(text) for text in path.read_text().splitlines()]


def key(fault: Fault, kind: str) -> str:
    return f"{fault.name} {kind}"


def line(result: Result) -> str:
    said = result.word
    agent = (
        "-"
        if said is None
        else "ready"
        if said.ready
        else f"{said.impact} {said.reason}/{said.side}"
    )
    fixed = f"  fix->{result.nova_after}" if result.nova_after else ""
    noted = "  NOTES" if result.notes else ""
    return (
        f"{result.verdict:16}{result.kind:8} {result.fault.name:40} Nova {result.nova:6} agent {agent}"
        f"{fixed}{noted}  {result.seconds:.1f} s"
    )


def detail(result: Result) -> str:
    fault = result.fault
    scripts = [f"{k}: {getattr(fault, k)}" for k in ("a", "b", "a_after", "b_after")]
    said = [s for s, k in zip(scripts, ("a", "b", "a_after", "b_after")) if getattr(fault, k)]
    said += [f"Nova: {result.nova_said}"] if result.nova_said else []
    said += list(result.word.why) if result.word else []
    said += [f"NOTE {note}" for note in result.notes]
    if result.repaired:
        said += [f"applied {step}" for step in result.repaired.applied]
    if result.after and result.notes:
        said += ["after --fix:", *result.after.why]
    return "\n".join("      " + part.replace("\n", "\n      ") for part in said)


if __name__ == "__main__":
    sys.exit(main())
