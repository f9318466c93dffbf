"""How much work a run is, counted and not timed: what is imported, opened, started and called.

Every bound is what was measured, with a little room; a change that needs more says why here.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent import checks, plan, verdict
from agent.formats import keys, record, trust
from agent.model import HaveLines, WriteFile
from agent.settings import Settings
from tests.counting import needs_strace, so_far, tracing, work
from tests.exporter.serving import Exporter, document, port_of, write
from tests.formats.test_nova_log import days_of_log
from tests.host.ground import ground
from tests.hosts import a_host, a_key, a_peer, a_tombstone
from tests.test_cli import TOP, an_image, run

COUNTED = """
import collections, contextlib, io, json, os, sys
counted = collections.Counter()
def hook(event, args):
    if event == "open" and isinstance(args[0], str) and not args[0].endswith((".pyc", ".py")):
        counted["opened"] += "/peers.d/" in args[0]
        counted["written"] += bool(args[2] & (os.O_WRONLY | os.O_RDWR))
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec"):
        counted["started"] += 1
sys.addaudithook(hook)
from agent import cli
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    cli.main(sys.argv[1:])
print(json.dumps([counted, sorted(sys.modules)]))
"""
CLASSES = """
import dataclasses
modules = [module for name, module in sys.modules.items() if name.startswith("agent.")]
classes = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
print(sum(dataclasses.is_dataclass(each) for each in classes))
"""
HEAVY = ("paramiko", "prometheus_client", "ssl", "asyncio", "concurrent.futures")
ON_A_DIAL = (
    "hashlib",
    "hmac",
    "tempfile",
    "random",
    "uuid",
    "agent.host.scratch",
    "agent.host.writing",
)
ON_THE_HOST = ("agent.pipeline", "agent.checks", "agent.observe", "agent.host", "agent.commands")


def counted(*arguments: object) -> tuple[dict[str, int], list[str]]:
    done = run(*arguments, program=["-c", COUNTED])
    assert done.returncode == 0, done.stderr
    work, modules = json.loads(done.stdout.splitlines()[-1])
    return work, modules


@pytest.fixture
def image() -> Iterator[Path]:
    with ground() as place:
        yield an_image(place)


def with_records(image: Path, number: int) -> Path:
    for each in range(number):
        peer = a_peer(f"node{each}")
        path = image / "etc/resize-agent/peers.d" / f"{peer.name}.yaml"
        path.write_text(record.render(peer))
    return image


# What is imported


def test_the_version_needs_nothing_that_looks_at_a_host() -> None:
    _, modules = counted("--version")
    assert not {*HEAVY, *ON_THE_HOST, "psutil"} & set(modules)
    assert (
        sum(name.startswith("agent") for name in modules) <= 17
    )  # the parser, and the types it names


def test_the_exporter_needs_nothing_that_looks_at_a_host() -> None:
    # Python 3.9's `platform`, which the library of the metrics wants, brings subprocess with it.
    code = "import sys, platform; theirs = set(sys.modules)\n"
    code += "from agent import cli, exporter, services; print(*set(sys.modules) - theirs)"
    done = run(program=["-c", code])
    modules = done.stdout.split()
    assert not {*ON_THE_HOST, "psutil", "paramiko", "subprocess"} & set(modules), done.stderr
    assert sum(name.startswith("agent") for name in modules) <= 34  # 31


def test_a_plain_check_imports_what_a_check_needs(image: Path) -> None:
    _, modules = counted("--root", image)
    assert not {*HEAVY, *ON_A_DIAL} & set(modules)
    assert not {"agent.apply", "agent.rounds", "agent.probe", "agent.explain", "difflib"} & {
        *modules
    }
    assert sum(name.startswith("agent") for name in modules) <= 113


def test_a_daemon_imports_what_a_check_and_a_dial_need() -> None:
    code = "import sys; from agent import checks, cli, daemon, rounds, services; checks.catalogue(); print(*sys.modules)"
    done = run(program=["-c", code])
    modules = done.stdout.split()
    assert not {"paramiko", "prometheus_client", "ssl", "asyncio"} & set(modules), done.stderr
    assert sum(name.startswith("agent") for name in modules) <= 122


def test_a_log_is_explained_without_what_looks_at_a_host_or_dials(tmp_path: Path) -> None:
    log = tmp_path / "nova-compute.log"
    log.write_bytes(b"".join(days_of_log(1 << 16)))
    _, modules = counted("explain", log)
    assert not {*HEAVY, *ON_A_DIAL, "psutil"} & set(modules)
    assert sum(name.startswith("agent") for name in modules) <= 127


def test_most_of_what_an_import_makes_is_cheap(image: Path) -> None:
    """A dataclass compiles six functions each time its module is imported (0.6 ms on Python 3.11), a NamedTuple one."""
    done = run("--root", image, program=["-c", COUNTED + CLASSES])
    assert int(done.stdout.splitlines()[-1]) <= 53, done.stderr


# What is opened and started


def test_a_record_is_opened_once_and_starts_nothing(image: Path) -> None:
    few, _ = counted("--root", with_records(image, 10))
    many, _ = counted("--root", with_records(image, 60))
    assert (few["opened"], many["opened"]) == (10, 60)
    assert few.get("started", 0) == many.get("started", 0) <= 1  # one child that looks as nova
    assert few.get("written", 0) == many.get("written", 0) == 0


def test_the_cyclic_collector_goes_through_no_records(image: Path) -> None:
    """A run keeps what it makes to its end: with thousands of records that cost a quarter of it."""
    code = f"{COUNTED}\nimport gc\nprint(sum(each['collections'] for each in gc.get_stats()))"
    few, many = (
        int(run("--root", with_records(image, n), program=["-c", code]).stdout.split()[-1])
        for n in (1, 400)
    )
    assert many - few <= 1


# What is called


def calls(work: Any) -> int:
    """Python functions that are entered."""
    number = 0

    def listen(_frame: object, event: str, _arg: object) -> None:
        nonlocal number
        number += event == "call"

    sys.setprofile(listen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return number


def judged(number: int, *, healthy: bool) -> int:
    """Calls of all checks and the plan, for so many peers whose names no other test has asked about."""
    peers = [
        a_peer(f"judged{number}x{each}", address=f"10.1.{each // 250}.{each % 250 + 1}")
        for each in range(number)
    ]
    snapshot = a_host(peers=peers)
    if not healthy:
        bare = {
            p: dataclasses.replace(f, content=b"")
            for p, f in snapshot.files.items()
            if getattr(f, "content", None)
            and p.name.startswith(("authorized_keys", "ssh_known_hosts"))
        }
        snapshot = dataclasses.replace(snapshot, files={**snapshot.files, **bare})

    def work() -> None:
        results = verdict.settle(
            checks.evaluate(checks.catalogue(), snapshot, Settings()), snapshot
        )
        kinds = {type(step.action) for step in plan.make(results).steps}
        assert {HaveLines, WriteFile} <= kinds or healthy

    return calls(work)


@pytest.mark.parametrize(("healthy", "most"), [(True, 350), (False, 330)])
def test_judging_costs_the_same_for_each_peer(healthy: bool, most: int) -> None:
    judged(1, healthy=healthy)  # the checks are imported now
    small, middle, large = (judged(n, healthy=healthy) for n in (50, 100, 200))
    assert (middle - small) / 50 <= most
    assert (large - middle) / 100 <= 1.1 * (middle - small) / 50


def test_reading_a_record_costs_a_few_hundred_calls() -> None:
    record.parse(a_peer("work0").path, record.render(a_peer("work0")).encode())
    peer = a_peer("work1")
    data = record.render(peer).encode()
    assert calls(lambda: record.parse(peer.path, data)) <= 365  # 350, most of them PyYAML's
    assert calls(lambda: record.parse(peer.path, data)) <= 5  # a daemon meets the same text again


def a_key_read(number: int) -> object:
    key = keys.parse_public(a_key(f"worked out {number}").line)
    return key and key.blob


def a_record_read(number: int) -> object:
    gone = a_tombstone(f"worked{number}")
    return record.parse(gone.path, record.render(gone).encode())


def names_spelt(number: int) -> object:
    return trust.lookup_names((f"10.{number // 250}.1.{number % 250}", f"worked{number}"), 22)


@pytest.mark.parametrize(("work", "each"), [(a_key_read, 2), (a_record_read, 1), (names_spelt, 2)])
def test_what_is_worked_out_for_twenty_thousand_peers_is_known_afterwards(
    work: Callable[[int], object], each: int
) -> None:
    """They are gone through in one order: a memory for fewer would find none of them again."""
    first, *_ = [work(number) for number in range(20_000 * each)]
    assert work(0) is first


# What the kernel is asked for


@contextmanager
def traced(place: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program of ours under strace; ended by the signal that systemd sends."""
    place.mkdir()
    line = [*tracing(place), sys.executable, "-m", "agent", *arguments]
    process = subprocess.Popen(line, cwd=TOP, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        for child in psutil.Process(process.pid).children():
            child.terminate()
        process.communicate(timeout=60)


@needs_strace
def test_a_scrape_starts_and_writes_nothing_and_opens_a_report_only_when_it_is_new(
    tmp_path: Path,
) -> None:
    report, place = tmp_path / "report.json", tmp_path / "traced"
    write(report, document(peers=50))
    words = ("exporter", "--listen", "127.0.0.1:0", "--report", str(report))
    with traced(place, *words) as process:
        exporter = Exporter(process, [port_of(process)])
        assert exporter.get("/metrics").status == 200
        warm = so_far(place)
        for path in ("/metrics", "/metrics", "/metrics", "/-/healthy"):
            assert exporter.get(path).status == 200
        old = work(place, warm)
        write(report, document(peers=51))
        warm = so_far(place)
        for _ in range(4):
            assert "resize_agent_peers 51" in exporter.get("/metrics").text
        new = work(place, warm)
    assert (old.started, old.changed, +old.opened) == (0, {}, {})
    assert (new.started, new.changed, +new.opened) == (0, {}, {str(report): 1})


@needs_strace
def test_a_log_is_opened_once_and_read_by_nobody_else(tmp_path: Path) -> None:
    log, place = tmp_path / "nova-compute.log", tmp_path / "traced"
    log.write_bytes(b"".join(days_of_log(1 << 20)))
    place.mkdir()
    assert "4 times" in run("explain", log, before=tracing(place)).stdout
    found = work(place)
    assert (found.programs, found.started, found.changed) == ((), 0, {})
    assert found.opened[str(log)] == 1
    assert (
        sum(found.opened.values()) <= 5
    )  # 4: the interpreter asks for its user's home and looks for modules
