"""The exporter beside prometheus-node-exporter: time, CPU and memory of a scrape at 10, 1000 and 5000 peers, and under load.

Usage: python3 -m bench.exporter [SCRAPES]   (200)
Reports are generated (every tenth peer failing); everything listens on loopback; all are scraped in turns, gzip accepted, a
connection each.  Then eight clients scrape an exporter of 1000 peers, in plain HTTP and TLS, alone and while others hold 200
idle, trickling and half-open connections and send rubbish.
"""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Optional

from bench import single
from bench.charts import Bar, Bars
from bench.figures import (
    Case,
    Chart,
    Figures,
    Goal,
    Part,
    Spent,
    Table,
    median,
    number,
    peak,
    spread,
    wall,
)
from bench.meter import Failed
from tests.exporter.nuisance import Nuisance, scraped
from tests.exporter.serving import Authority, Exporter, client, document, exporter, write

PEERS = (10, 1000, 5000)
NODE_EXPORTER = "prometheus-node-exporter"
PATIENCE = 30.0
CLIENTS, HELD, LOADED = 8, 200, 1000
SCRAPE, CHANGED, LOAD = "scrape", "first scrape of a new report", "under load"
GOAL_MS = 10
GOAL = 1.0


@dataclass
class Subject:
    name: str
    port: int
    pid: int
    size: int = 0
    seconds: list[float] = field(default_factory=list)


def measure(rounds: int) -> Figures:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subjects = [subject(stack, folder, peers) for peers in PEERS]
        node = Subject(NODE_EXPORTER, free_port(), 0)
        node.pid = stack.enter_context(node_exporter(node.port))
        every = [*subjects, node]
        in_turns(every, 5)  # the first ones read the report and warm caches
        began = [used(one.pid) for one in every]
        in_turns(every, rounds)
        spent = [(used(one.pid) - before) / rounds for one, before in zip(every, began)]
        scrapes: Case = {
            one.name: [Spent(cpu, s, rss(one.pid), {"bytes": one.size}) for s in one.seconds[5:]]
            for one, cpu in zip(every, spent)
        }
        changed: Case = {
            one.name: [Spent(0, reread(one, folder)) for _ in range(5)] for one in subjects
        }
    return {SCRAPE: scrapes, CHANGED: changed, LOAD: under_load(max(rounds // 4, 5))}


def subject(stack: ExitStack, folder: Path, peers: int) -> Subject:
    path = folder / f"{peers}.json"
    write(path, document(peers=peers, failing=peers // 10, seconds=86400))
    running: Exporter = stack.enter_context(exporter(path))
    return Subject(f"{peers} peers", running.port, running.process.pid)


@contextmanager
def node_exporter(port: int) -> Iterator[int]:
    """Its pid.  Raises Failed where there is none."""
    if not shutil.which(NODE_EXPORTER):
        raise Failed(f"no {NODE_EXPORTER} here (apt-get install {NODE_EXPORTER})")
    process = subprocess.Popen(
        [NODE_EXPORTER, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def in_turns(subjects: Sequence[Subject], scrapes: int) -> None:
    for _ in range(scrapes):
        for one in subjects:
            spent, one.size = scrape(one.port)
            one.seconds.append(spent)


def scrape(port: int) -> tuple[float, int]:
    """Seconds from connecting to the last byte, and the size of what came."""
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    body = response.read()
    spent = time.perf_counter() - began
    connection.close()
    if response.status != 200:
        raise Failed(f"port {port}: status {response.status}")
    return spent, len(body)


def reread(one: Subject, folder: Path) -> float:
    """Seconds of the first scrape after the report has changed."""
    path = folder / f"{one.name.split()[0]}.json"
    write(path, path.read_text())
    return scrape(one.port)[0]


def under_load(scrapes: int) -> Case:
    """Seconds of each scrape; `lost`: it was not answered."""
    found: Case = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "report.json", document(peers=LOADED, failing=LOADED // 10, seconds=86400))
        authority = Authority(folder)
        authority.issue("server", "127.0.0.1")
        config = folder / "web.yml"
        write(config, "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
        for words, tls, web in (("HTTP", None, None), ("TLS", client(authority), config)):
            with exporter(folder / "report.json", config=web) as running:
                found[words] = loaded(running, tls, scrapes)
                with Nuisance(running, HELD):
                    found[f"{words}, {HELD} held"] = loaded(running, tls, scrapes)
    return found


def loaded(running: Exporter, tls: Optional[ssl.SSLContext], scrapes: int) -> list[Spent]:
    seen, spent = scraped(running, tls, CLIENTS, scrapes)
    mib = running.status("VmRSS") / 1024
    return [
        Spent(0, s, mib, {"lost": float(answer != (200, True))}) for answer, s in zip(seen, spent)
    ]


def used(pid: int) -> float:
    """Seconds of CPU of the process itself, finer than the ticks of proc_pid_stat(5): Documentation/scheduler/sched-stats.rst."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def rss(pid: int) -> float:
    """MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise Failed(f"no memory is told of process {pid}")


def part(figures: Figures) -> Part:
    scrapes = figures[SCRAPE]
    node = scrapes[NODE_EXPORTER]
    base = median(wall(node))
    rows = tuple(
        (
            name,
            str(spread(seconds / base for seconds in wall(runs))),
            number(percentile(runs, 99) / percentile(node, 99)),
            number(runs[0].cpu / node[0].cpu) if node[0].cpu else "",
            number(peak(runs) / peak(node)),
            number(runs[0].counted["bytes"] / node[0].counted["bytes"]),
            number(median(wall(figures[CHANGED][name])) / base) if name in figures[CHANGED] else "",
        )
        for name, runs in scrapes.items()
    )
    slowest = max(median(wall(runs)) / base for name, runs in scrapes.items() if runs is not node)
    largest = max(peak(runs) / peak(node) for name, runs in scrapes.items() if runs is not node)
    longest = max(median(wall(runs)) for runs in scrapes.values() if runs is not node)
    lost = sum(run.counted["lost"] for runs in figures[LOAD].values() for run in runs)
    late = max(percentile(runs, 99) for runs in figures[LOAD].values())
    return Part(
        "The exporter",
        f"A scrape beside one of {NODE_EXPORTER} with its default collectors, in turns. A scrape starts no work here: it is a file"
        " that was read when it changed. As multiples of node_exporter:",
        (
            Table(("", "scrape", "its 99th percentile", "CPU", "memory", "bytes, gzip", "first of a new report"), rows),
            Table(("", "scrape", "99th percentile", "not answered"), load(figures[LOAD]),
                  f"{CLIENTS} clients at once, {LOADED} peers, alone and while others hold {HELD} idle, half-open and trickling"
                  " connections and send rubbish; as multiples of plain HTTP alone:"),
        ),
        (
            Goal("a scrape takes no longer than node_exporter's, up to 5000 peers", f"{number(slowest)} times at most", slowest <= GOAL,
                 "a body in Python against one in Go"),
            Goal(f"a scrape takes less than {GOAL_MS} ms, the median", f"{longest * 1000:.1f} ms", longest * 1000 < GOAL_MS,
                 "the machine does other things meanwhile"),
            Goal("no more memory than twice node_exporter's", f"{number(largest)} times at most", largest <= 2,
                 "an interpreter with its libraries is larger than a Go program"),
            Goal("every scrape is answered under load", f"{lost:.0f} not answered; 99 of 100 within {late * 1000:.0f} ms", lost == 0,
                 "the table of connections is full"),
        ),
        (chart(figures),),
        "`bench/exporter.py`, on loopback, a connection each, gzip accepted; every tenth peer fails.",
    )  # fmt: skip


def percentile(runs: Sequence[Spent], percent: int) -> float:
    every = sorted(wall(runs))
    return every[min(len(every) - 1, len(every) * percent // 100)]


def load(jobs: Case) -> tuple[tuple[str, ...], ...]:
    plain = next(iter(jobs.values()))
    return tuple(
        (
            name,
            number(median(wall(runs)) / median(wall(plain))),
            number(percentile(runs, 99) / percentile(plain, 99)),
            f"{sum(run.counted['lost'] for run in runs):.0f}",
        )
        for name, runs in jobs.items()
    )


def chart(figures: Figures) -> Chart:
    scrapes = figures[SCRAPE]
    base = median(wall(scrapes[NODE_EXPORTER]))
    bars = []
    for name, runs in scrapes.items():
        seen = spread(seconds / base for seconds in wall(runs))
        bars.append(Bar(name, seen.low, seen.median, seen.high, ours=name != NODE_EXPORTER))
    drawing = Bars(
        "A scrape: time, node_exporter is 1", "times node_exporter", (("", tuple(bars)),)
    )
    return Chart("scrape", "Time of a scrape, as a share of node_exporter's", drawing)


if __name__ == "__main__":
    sys.exit(single.run(measure, part, 200))
