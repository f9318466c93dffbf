"""Measures everything in one run and writes docs/benchmarks.md with its charts.  Needs root.

Usage: python3 -m bench [--quick] [--only PART ...] [--write FOLDER]
       python3 -m bench --again       the page anew from what the last whole run has measured
       python3 -m bench --missing     the same, after what failed in it has been measured

--quick: small sizes and few rounds, to see that everything works; nothing is written unless --write says where.
The figures of a whole run are kept in build/bench.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

from bench import (
    charts,
    daemon,
    dials,
    exporter,
    local_check,
    log_reading,
    machine,
    one_write,
    page,
    records,
    single,
    thirty_hosts,
)
from bench.figures import Figures, Part, Table, dumped, loaded
from bench.meter import progress
from tests.lab.fleet import Fleet

TOP = Path(__file__).resolve().parents[1]
KEPT = TOP / "build" / "bench.json"
PROFILES = Path(__file__).with_name("profiles.md")
# Of a lab host or a job: LabError and Failed are RuntimeErrors.
FAILURES = (RuntimeError, OSError, ValueError, subprocess.SubprocessError)
SUITES = {"bookworm": "12", "trixie": "13"}


@dataclass(frozen=True)
class Measure:
    """`whole` and `quick` measure, `part` tells."""

    whole: Callable[[], Figures]
    quick: Callable[[], Figures]
    part: Callable[[Figures], Part]


MEASURES = {
    "local_check": Measure(
        lambda: local_check.measure(7), lambda: local_check.measure(2, (2, 50)), local_check.part
    ),
    "records": Measure(
        lambda: records.measure(3), lambda: records.measure(1, (10, 100, 1000)), records.part
    ),
    "dials": Measure(lambda: dials.measure(9), lambda: dials.measure(2), dials.part),
    "thirty_hosts": Measure(
        lambda: thirty_hosts.measure(2),
        lambda: thirty_hosts.measure(1, thirty_hosts.NAMES[:4]),
        thirty_hosts.part,
    ),
    "one_write": Measure(
        lambda: one_write.measure(9), lambda: one_write.measure(2), one_write.part
    ),
    "log_reading": Measure(
        lambda: log_reading.measure(2), lambda: log_reading.measure(1, (1, 4)), log_reading.part
    ),
    "exporter": Measure(lambda: exporter.measure(200), lambda: exporter.measure(20), exporter.part),
    "daemon": Measure(lambda: daemon.measure(2), lambda: daemon.measure(1, (10, 100)), daemon.part),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    if not arguments.again and os.geteuid() != 0:
        print("bench: lab hosts need root", file=sys.stderr)
        return 2
    whole = not arguments.only and not arguments.quick
    kept = json.loads(KEPT.read_text()) if arguments.again or arguments.missing else {}
    if not arguments.again:
        lacking = [name for name in MEASURES if name not in kept.get("figures", {})]
        kept = measured(arguments.only or lacking, kept, quick=arguments.quick)
        if whole:
            KEPT.parent.mkdir(exist_ok=True)
            KEPT.write_text(json.dumps(kept, indent=1))
    figures = kept["figures"]
    parts = [each.part(loaded(figures[n])) for n, each in MEASURES.items() if n in figures]
    text = page.page(parts, table(kept["machine"]), PROFILES.read_text())
    missing = set(arguments.only or MEASURES) - set(figures)
    folder = arguments.write or (TOP / "docs" if whole and not missing else None)
    if folder is None:
        print(text)
    else:
        write(folder, text, parts)
    return 1 if missing else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="bench", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    made.add_argument("--quick", action="store_true")
    made.add_argument("--again", action="store_true")
    made.add_argument("--missing", action="store_true")
    made.add_argument("--only", nargs="+", choices=MEASURES, metavar="PART")
    made.add_argument("--write", type=Path, metavar="FOLDER")
    return made


def measured(names: Sequence[str], kept: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """What --again reads: `kept` and the parts of these names, without those that failed."""
    began, started, load = machine.now(), time.monotonic(), os.getloadavg()[0]
    every = {name: figures_of(name, quick=quick) for name in names}
    figures = {name: dumped(found) for name, found in every.items() if found is not None}
    told = {
        "began": began.isoformat(),
        "seconds": time.monotonic() - started,
        "load": load,
        "hosts": versions(),
    }
    return {"machine": told, **kept, "figures": {**kept.get("figures", {}), **figures}}


def figures_of(name: str, *, quick: bool) -> Optional[Figures]:
    """Tried once more where it fails, and then left out: one lost lab host is not worth a run of twenty minutes."""
    measure = MEASURES[name].quick if quick else MEASURES[name].whole
    for words in ("tried once more", "left out"):
        began = time.monotonic()
        try:
            figures = measure()
        except FAILURES:
            progress("")
            print(f"bench: {name} failed, {words}:", file=sys.stderr)
            traceback.print_exc()
        else:
            progress("")
            print(f"bench: {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            return figures
    return None


def versions() -> dict[str, dict[str, str]]:
    found = {}
    for suite, number in SUITES.items():
        with Fleet(["compute1"], suite=suite, progress=single.quiet) as fleet:
            found[number] = machine.of_host(fleet["compute1"])
    return found


def table(told: dict[str, Any]) -> Table:
    began = datetime.fromisoformat(told["began"])
    return machine.table(told["hosts"], began, told["seconds"], told["load"])


def write(folder: Path, text: str, parts: Sequence[Part]) -> None:
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for chart in (chart for part in parts for chart in part.charts):
        (images / f"bench-{chart.name}.svg").write_text(charts.drawn(chart.drawing))
    (folder / "benchmarks.md").write_text(text)
    print(f"bench: wrote {folder / 'benchmarks.md'}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
