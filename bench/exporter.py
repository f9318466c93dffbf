"""Cost of the exporter beside prometheus-node-exporter: memory and time of a scrape at 10, 1000 and 5000 peers.

Usage: python3 -m bench.exporter [SCRAPES]
Reports are generated (every tenth peer failing); everything listens on loopback; both are scraped in turns, gzip accepted, a
connection each.  Then eight clients scrape an exporter of 1000 peers, in plain HTTP and TLS, alone and while others hold 200
idle, trickling and half-open connections and send rubbish.  The absolute figures are those of the machine at hand.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Optional

from tests.exporter.nuisance import Nuisance, scraped
from tests.exporter.serving import Authority, Exporter, client, document, exporter, write

PEERS = (10, 1000, 5000)
NODE_EXPORTER = "prometheus-node-exporter"
PATIENCE = 30.0
CLIENTS, HELD, LOADED = 8, 200, 1000


@dataclass
class Measured:
    name: str
    port: int
    pid: int
    size: int = 0
    rss: float = 0.0
    seconds: list[float] = field(default_factory=list)


def main() -> int:
    scrapes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subjects = [subject(stack, folder, peers) for peers in PEERS]
        node = other(stack)
        subjects += [node] if node else []
        for turn in range(scrapes + 5):
            for one in subjects:
                spent, one.size = scrape(one.port)
                if turn >= 5:  # the first ones read the report and warm caches
                    one.seconds.append(spent)
        for one in subjects:
            one.rss = rss(one.pid)
        changed = [reread(one, folder) for one in subjects if one is not node]
    report(subjects, node, scrapes, changed)
    print()
    return under_load(scrapes)


def subject(stack: ExitStack, folder: Path, peers: int) -> Measured:
    path = folder / f"{peers}.json"
    write(path, document(peers=peers, failing=peers // 10, seconds=86400))
    running: Exporter = stack.enter_context(exporter(path))
    return Measured(f"{peers} peers", running.port, running.process.pid)


def other(stack: ExitStack) -> Optional[Measured]:
    if not shutil.which(NODE_EXPORTER):
        print(f"bench: no {NODE_EXPORTER} here (apt-get install {NODE_EXPORTER})", file=sys.stderr)
        return None
    port = free_port()
    return Measured(NODE_EXPORTER, port, stack.enter_context(node_exporter(port)))


@contextmanager
def node_exporter(port: int) -> Iterator[int]:
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
        raise RuntimeError(f"port {port}: status {response.status}")
    return spent, len(body)


def reread(one: Measured, folder: Path) -> float:
    """Seconds of the first scrape after the report has changed."""
    path = folder / f"{one.name.split()[0]}.json"
    write(path, path.read_text())
    return scrape(one.port)[0]


def under_load(scrapes: int) -> int:
    """1 where a scrape was not answered."""
    row(
        f"{CLIENTS} clients, {LOADED} peers",
        "answered",
        "median ms",
        "p99 ms",
        "RSS MiB",
        "threads",
    )
    lost = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "report.json", document(peers=LOADED, failing=LOADED // 10, seconds=86400))
        authority = Authority(folder)
        authority.issue("server", "127.0.0.1")
        config = folder / "web.yml"
        write(config, "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
        for words, tls, web in (("HTTP", None, None), ("TLS", client(authority), config)):
            with exporter(folder / "report.json", config=web) as running:
                lost += loaded(f"{words}, alone", running, tls, scrapes)
                with Nuisance(running, HELD):
                    for turn in range(3):
                        lost += loaded(f"{words}, {HELD} held ({turn + 1})", running, tls, scrapes)
    return 1 if lost else 0


def loaded(words: str, running: Exporter, tls: Optional[ssl.SSLContext], scrapes: int) -> int:
    """How many were not answered."""
    seen, spent = scraped(running, tls, CLIENTS, scrapes)
    good = seen.count((200, True))
    spent.sort()
    row(
        words,
        f"{good}/{CLIENTS * scrapes}",
        f"{statistics.median(spent) * 1000:.1f}",
        f"{spent[int(len(spent) * 0.99)] * 1000:.1f}",
        f"{running.status('VmRSS') / 1024:.1f}",
        running.status("Threads"),
    )
    return CLIENTS * scrapes - good


def rss(pid: int) -> float:
    """MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no memory is told of process {pid}")


def report(
    subjects: Sequence[Measured], node: Optional[Measured], scrapes: int, changed: Sequence[float]
) -> None:
    print(f"{scrapes} scrapes each, in turns; load of the machine {os.getloadavg()[0]:.1f}")
    row("", "RSS MiB", "median ms", "p99 ms", "body B", "changed ms", "median ratio")
    base = statistics.median(node.seconds) if node else None
    for number, one in enumerate(subjects):
        median = statistics.median(one.seconds)
        p99 = sorted(one.seconds)[int(len(one.seconds) * 0.99)]
        row(
            one.name,
            f"{one.rss:.1f}",
            f"{median * 1000:.1f}",
            f"{p99 * 1000:.1f}",
            one.size,
            f"{changed[number] * 1000:.1f}" if number < len(changed) else "",
            f"{median / base:.2f}" if base else "",
        )


def row(*cells: Any) -> None:
    first, *rest = cells
    print(f"{first:<26}" + "".join(f"{cell:>13}" for cell in rest))


if __name__ == "__main__":
    sys.exit(main())
