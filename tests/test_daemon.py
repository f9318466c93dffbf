"""The daemon as a process: its signals, its files, its lock.  On a machine without nova, so there is nobody to dial."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import daemon
from agent.host import Host, notify
from agent.looked import Looked, weighed
from agent.settings import Settings
from agent.signals import Signals
from tests.host.ground import ground, needs_root
from tests.hosts import a_host
from tests.test_cli import TOP, refused, run

PATIENCE = 120.0  # seconds for anything here
PLACE = 'mount -t tmpfs none /var/lib; mount -t tmpfs none /run; exec "$@"'


class Service:
    """One daemon in a mount namespace in which /var/lib and /run are its own."""

    def __init__(self, place: Path, *options: str) -> None:
        self.config = place / "agent.yaml"
        self.config.write_text("interval: 10\n")
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.ear.bind(f"\0resize-agent-test-{os.getpid()}")
        self._told: list[str] = []
        self._log = place / "log"
        argv = [sys.executable, "-m", "agent", "daemon", "--config", str(self.config), *options]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-euc", PLACE, "sh", *argv],
                cwd=TOP,
                stderr=log,
                stdout=log,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "NOTIFY_SOCKET": f"@resize-agent-test-{os.getpid()}",
                    "WATCHDOG_USEC": "3000000",
                },
            )

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.ear.close()

    def inside(self, path: str) -> Path:
        # Until the daemon itself has spoken, its root may still be the machine's own.
        assert "READY=1" in self.told
        return Path(f"/proc/{self.process.pid}/root{path}")

    @property
    def told(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._told += self.ear.recv(65536).decode().split("\n")
        return self._told

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    @property
    def report(self) -> dict[str, Any]:
        path = self.inside("/var/lib/resize-agent/report.json")
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    @property
    def written(self) -> int:
        """When the report was, finer than its own times."""
        return self.inside("/var/lib/resize-agent/report.json").stat().st_mtime_ns

    def await_that(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.told  # noqa: B018  its queue is short
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"never: {what}\n{self.log}\n{self.told}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)


@pytest.fixture
def service() -> Iterator[Service]:
    with ground() as place:
        service = Service(place, "--textfile", "/var/lib/agent.prom")
        try:
            service.await_that(lambda: "READY=1" in service.told, "it is ready")
            service.await_that(lambda: service.report, "its first report")
            yield service
        finally:
            service.close()


@needs_root
def test_it_says_what_it_is_doing_from_the_start_to_the_end(service: Service) -> None:
    for word in ("READY=1", "WATCHDOG=1"):
        service.await_that(lambda word=word: word in service.told, word)
    words = [line for line in service.told if line != "WATCHDOG=1"]
    assert words[0] == "READY=1"
    service.await_that(lambda: any("NOT READY" in w for w in service.told), "a status")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(PATIENCE) == 0
    assert service.told[-2:] == ["STOPPING=1", "STATUS=stopping"]


@needs_root
def test_a_turn_for_the_worse_is_one_line_and_not_one_each_run(service: Service) -> None:
    first = service.written
    service.process.send_signal(signal.SIGUSR1)
    service.await_that(lambda: service.written > first, "it looked again when asked")
    lines = [line for line in service.log if "resizes can leave this host: NO" in line]
    assert len(lines) == 1, service.log


@needs_root
def test_a_bad_file_is_told_and_the_good_one_again(service: Service) -> None:
    assert service.report["config"] == {"valid": True, "error": None}
    service.config.write_text("interval: often\n")
    service.process.send_signal(signal.SIGHUP)
    service.await_that(lambda: not service.report["config"]["valid"], "the bad file shows")
    assert service.report["config"]["error"].startswith(f"{service.config}:1: interval: ")
    assert service.report["interval_seconds"] == 10
    service.config.unlink()
    service.process.send_signal(signal.SIGHUP)
    service.await_that(lambda: "No such file" in service.report["config"]["error"], "it is gone")
    service.config.write_text("interval: 20\n")
    service.process.send_signal(signal.SIGHUP)
    service.await_that(lambda: service.report["config"]["valid"], "the good file shows")
    assert service.report["interval_seconds"] == 20
    reloads = [word for word in service.told if word.startswith(("RELOADING", "READY"))]
    assert reloads == ["READY=1"] + ["RELOADING=1", "READY=1"] * 3


@needs_root
def test_only_one_runs_on_a_host(service: Service) -> None:
    enter = ["nsenter", "-t", str(service.process.pid), "-m", sys.executable, "-m", "agent"]
    again = subprocess.run(
        [*enter, "daemon"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP)},
    )
    assert again.returncode == 5, again.stderr
    assert "another agent daemon" in again.stderr


@needs_root
def test_what_it_writes_others_can_read_and_only_whole(service: Service) -> None:
    service.await_that(lambda: service.inside("/var/lib/agent.prom").exists(), "the metrics")
    names = sorted(os.listdir(service.inside("/var/lib/resize-agent")))
    assert {"probes.json", "report.json"} <= {*names, "probes.json"}
    for path in ("/var/lib/resize-agent/report.json", "/var/lib/agent.prom"):
        assert service.inside(path).stat().st_mode & 0o777 == 0o644
    assert "resize_agent_ready" in service.inside("/var/lib/agent.prom").read_text()
    assert os.stat(service.inside("/run/resize-agent")).st_mode & 0o777 == 0o700


@needs_root
def test_a_disk_that_fills_up_is_told_and_survived(service: Service) -> None:
    state = service.inside("/var/lib/resize-agent")
    os.rename(state, service.inside("/var/lib/away"))
    service.inside("/var/lib/resize-agent").write_text("not a directory")
    service.process.send_signal(signal.SIGUSR1)
    service.await_that(lambda: any("cannot write" in line for line in service.log), "it says so")
    os.unlink(service.inside("/var/lib/resize-agent"))
    service.process.send_signal(signal.SIGUSR1)
    service.await_that(lambda: service.report, "it writes again")


@needs_root
def test_a_look_that_fails_is_told_and_survived(service: Service) -> None:
    service.await_that(lambda: any("NOT READY" in w for w in service.told), "all is imported")
    before = service.report["valid_until"]
    limit_files(service, 3)
    service.process.send_signal(signal.SIGUSR1)
    told = "cannot look at this host: "
    service.await_that(lambda: any(told in line for line in service.log), "it says so")
    assert service.report["valid_until"] == before
    limit_files(service, 1024)
    service.process.send_signal(signal.SIGUSR1)
    service.await_that(lambda: service.report["valid_until"] > before, "it looks again")
    assert len([line for line in service.log if told in line]) == 1


def limit_files(service: Service, number: int) -> None:
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (number, 1024))


@needs_root
def test_without_the_right_to_end_others_it_does_not_start() -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-kill", sys.executable, "-m", "agent", "daemon"],
        cwd=TOP,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "agent: agent daemon needs CAP_KILL to end a dial that hangs\n"


@needs_root
def test_it_grows_no_more_and_stays_small(service: Service) -> None:
    sizes = []
    for _ in range(12):
        before = service.written
        service.process.send_signal(signal.SIGUSR1)
        service.await_that(lambda before=before: service.written > before, "again")
        pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
        sizes.append(int(pages) * os.sysconf("SC_PAGE_SIZE") >> 10)
    assert sizes[-1] < 60 << 10
    assert sizes[-1] - sizes[2] < 1 << 10, sizes


@needs_root
def test_with_listen_it_serves_too_and_a_port_that_is_taken_ends_it() -> None:
    with ground() as place, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = Service(place, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        try:
            assert busy.process.wait(PATIENCE) == 3, busy.log
        finally:
            busy.close()


@needs_root
def test_what_it_serves_is_its_report() -> None:
    with ground() as place:
        both = Service(place, "--listen", "127.0.0.1:0")
        try:
            both.await_that(lambda: "READY=1" in both.told, "it is ready")
            both.await_that(lambda: any("listening on" in line for line in both.log), "a port")
            [line] = [line for line in both.log if "listening on" in line]
            port = int(line.split("listening on ")[1].split()[0].rpartition(":")[2])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                assert b'resize_agent_ready{role="source"} 0.0' in answer.read()
            both.process.send_signal(signal.SIGTERM)
            assert both.process.wait(PATIENCE) == 0
        finally:
            both.close()


def a_watch(root: Path, signals: Signals) -> daemon._Watch:
    """Of a host that was looked at just now."""
    (root / "var").mkdir()
    host, want = Host(str(root)), Settings()
    watch = daemon._Watch(host, want, daemon.Options(), signals, notify.Manager())
    watch.looked = weighed(Looked(a_host(), ()), want, {})
    return watch


class _SetSoon(threading.Event):
    """Not set when asked first."""

    def is_set(self) -> bool:
        before = super().is_set()
        self.set()
        return before


def test_a_report_that_was_cut_short_is_not_saved(tmp_path: Path) -> None:
    signals = Signals()
    signals.stop = _SetSoon()
    a_watch(tmp_path, signals)._publish()
    assert list(tmp_path.rglob("report.json")) == []


def test_one_that_was_not_is(tmp_path: Path) -> None:
    a_watch(tmp_path, Signals())._publish()
    assert len(list(tmp_path.rglob("report.json"))) == 1


def test_a_server_that_breaks_ends_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "var").symlink_to("var")
    server, signals = daemon._Server(), Signals()
    with pytest.raises(OSError, match="symbolic links"):
        server.answer(Host(str(tmp_path)), daemon.Options(listen=("127.0.0.1:0",)), signals)
    assert (server.status, signals.stop.is_set()) == (3, True)


ALARM = """
import signal
from agent.signals import Signals
with Signals().installed():
    signal.raise_signal(signal.SIGALRM)
    print("goes on")
"""


TAKEN_ELSEWHERE = """
import signal, threading
from agent.signals import Signals
signals = Signals()
def take():
    while not asleep():
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
def asleep():
    with open(f"/proc/self/task/{threading.main_thread().native_id}/wchan") as where:
        return "poll" in where.read()
with signals.installed():
    thread = threading.Thread(target=take)
    thread.start()
    signals.wait(3600)
    thread.join()
    print("stopping" if signals.stop.is_set() else "going on")
"""


def test_a_signal_that_another_thread_took_wakes_it_all_the_same() -> None:
    """As one that comes just before it sleeps; a process may run the C handler in any thread (signal(7))."""
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_ELSEWHERE], cwd=TOP, capture_output=True, timeout=PATIENCE
    )
    assert done.stdout == b"stopping\n", done.stderr


def test_an_alarm_of_somebody_else_ends_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", ALARM], cwd=TOP, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("goes on\n", "")


@pytest.mark.parametrize("command", [("daemon",), ("exporter",)])
def test_an_image_cannot_be_watched_nor_served(tmp_path: Path, command: tuple[str, ...]) -> None:
    refused(run("--root", tmp_path, *command), "nothing to watch")


@needs_root
def test_a_bad_configuration_at_the_start_is_a_usage_error(tmp_path: Path) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text("interval: 1\n")
    refused(run("daemon", "--config", config), f"{config}:1: interval: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "prometheus", "--no-probe"), "--format prometheus needs a whole report"),
        (("--textfile", "/x.prom", "--only", "nova_user"), "--textfile needs a whole report"),
        (("--fix", "--dry-run", "--format", "prometheus"), "nobody is dialled"),
    ],
)
def test_metrics_of_a_part_are_refused(arguments: tuple[str, ...], words: str) -> None:
    refused(run(*arguments), words)
