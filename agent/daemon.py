"""`agent daemon`: this host every interval, its peers by the schedule, the report always current."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Callable, Optional, Union

from agent import archive, changes, checks, pipeline, probes, state
from agent.configuration import load
from agent.document import DocumentError
from agent.exit_status import CANNOT_TELL, READY, Refusal
from agent.formats.escape import visible
from agent.formats.mounts import reminder
from agent.host import CannotStart, Host, notify
from agent.looked import Dialled, Looked, weighed, weighed_again, with_dials
from agent.model import Instances, Mount, Report, Unreadable
from agent.pipeline import Request
from agent.rota import Rota
from agent.settings import MOUNTED, Settings
from agent.signals import Signals

_PEER_TIMEOUT = 20.0  # seconds for each command of a dial
# Seconds; each less than the WatchdogSec= of the unit, with what is still cleaned up when they are over.
_LOOKING = 60.0  # for one look at this host
_DIALLING = 90.0  # for one batch of dials
# MESSAGE_ID of systemd.journal-fields(7): a turn of the host or a role, of a check, of a peer
_HOST = "0c7f3c4f4ad94b3f8b8e6f0f3f1f6e51"
_CHECK = "5d1f0b0c5c5e4c55a3c1d7d58a2e9f0a"
_PEER = "e3b6a8d2b8b14d5f9b5f3a7c4c0d1e62"
_SIGN = 3  # signs of life for each period of the watchdog


@dataclass(frozen=True)
class Options:
    """From the command line.  `listen`: where to serve the report too."""

    config: Optional[str] = None
    textfile: str = ""
    listen: tuple[str, ...] = ()
    web_config: Optional[str] = None


def run(host: Host, want: Settings, options: Options) -> int:
    """Until SIGTERM or SIGINT.  The exit status; raises Locked, CannotStart."""
    signals = Signals()
    # The handlers first: who holds the lock may be sent SIGUSR1, which would end a process without them.
    with signals.installed(), state.watching(host), _served(host, options, signals) as server:
        host.halted = signals.stop.is_set
        manager = notify.manager(os.environ, os.getpid())
        _Watch(host, want, options, signals, manager).go_on()
        manager.tell("STOPPING=1", "STATUS=stopping")
    return server.status


class _Server:
    """How the exporter in this process ended: it says itself why."""

    def __init__(self) -> None:
        self.status = READY
        self.stop = threading.Event()

    def answer(self, host: Host, options: Options, signals: Signals) -> None:
        """Whatever ends it ends the daemon: one that was to serve and does not would look dead to all who ask."""
        status = CANNOT_TELL
        try:
            status = self._served_until_the_end(host, options)
        finally:
            self.status = status
            signals.end()

    def _served_until_the_end(self, host: Host, options: Options) -> int:
        from agent.exporter import ExporterSettings, serve

        report = host.inside(state.REPORT)
        want = ExporterSettings(options.listen, report, options.web_config)
        return serve(want, self.stop)


@contextmanager
def _served(host: Host, options: Options, signals: Signals) -> Iterator[_Server]:
    """The exporter in a thread of its own, where it is wanted: it reads the file like everybody else."""
    server = _Server()
    if not options.listen:
        yield server
        return
    thread = threading.Thread(target=server.answer, args=(host, options, signals), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        thread.join(1)


class _Watch:
    """What the daemon knows from one round to the next."""

    def __init__(
        self,
        host: Host,
        want: Settings,
        options: Options,
        signals: Signals,
        manager: notify.Manager,
    ) -> None:
        self.host, self.want, self.options = host, want, options
        self.signals, self.manager = signals, manager
        self.rota = Rota(probes.load(state.read(host, state.PROBES)))
        self.looked: Optional[Looked] = None
        self.told: Optional[changes.Told] = None
        self.config_error: Optional[str] = None
        self.failing: dict[str, str] = {}  # what fails just now, and why
        self.started = 0.0

    def go_on(self) -> None:
        """Look, dial, say; wait for the next turn or a signal."""
        following = 0.0  # on the monotonic clock
        while not self.signals.stop.is_set():
            if self.signals.reload:
                self._reload()
                following = 0.0
            if self.signals.again or time.monotonic() >= following:
                self.signals.again = False
                following = time.monotonic() + self.want.interval
                again = self._survived(self._round)
            else:
                again = self._survived(self._turn)
            self._alive()
            pause = min(following, time.monotonic() + again) - time.monotonic()
            self.signals.wait(min(pause, self._patience()))

    def _survived(self, work: Callable[[], float]) -> float:
        """What the system refuses now it may allow the next time; till then the report from before grows old and expires."""
        try:
            again = work()
        except OSError as error:
            if self.told is None and isinstance(error, CannotStart):
                raise
            self._failed("cannot look at this host", str(error))
            self.manager.tell(f"STATUS=cannot look at this host: {visible(str(error))}")
            return float(self.want.interval)
        self.failing.pop("cannot look at this host", None)
        return again

    def _round(self) -> float:
        """A new look at this host, whose turn it is besides, a new report.  Seconds until the next turn."""
        self.started = time.monotonic()
        self.host.deadline = self.started + _LOOKING
        looked = pipeline.look(self.host, self.want)
        self._alive()
        mine = tuple(kept.attempt for kept in self.rota.mine)
        looked = with_dials(looked, Dialled((), mine, self.rota.resolved))
        self.looked = weighed(looked, self.want, self.rota.kept)
        if self.told is None:
            self.manager.tell("READY=1", "STATUS=first look at this host done; dialling peers")
        _, again = self._dial(self.looked, itself=True)
        self._publish()
        return again

    def _turn(self) -> float:
        """The peers whose turn it is, judged beside the last look.  Seconds until the next turn."""
        if self.looked is None:
            return 0.0
        self.started = time.monotonic()
        turned, again = self._dial(self.looked, itself=False)
        if turned:
            self._publish()
        return again

    def _dial(self, looked: Looked, *, itself: bool) -> tuple[bool, float]:
        """(whether a peer is now other than it was, seconds until the next turn)"""
        now, asked = self.host.now().timestamp(), time.monotonic()
        turn = self.rota.turn(looked, self.want, now)
        peers = [record for record in looked.peers if record.name in turn.peers]
        ports = looked.snapshot.listening if itself and self.rota.due_itself(looked, now) else ()
        turned = False
        if (peers or ports) and not self.signals.stop.is_set():
            limit = time.monotonic() + min(1.5 * self.want.interval, _DIALLING)
            self.host.deadline = limit
            snapshot = replace(looked.snapshot, listening=ports)
            met = pipeline.dial(self.host, self.want, self._request(), snapshot, peers, limit)
            self._alive()
            turned = self.rota.enter(looked, peers, met, now)
            self.looked = weighed_again(looked, self.want, self.rota.kept, self.host.now())
        # What the dials took has passed of it already.
        return turned, turn.again - now - (time.monotonic() - asked)

    def _publish(self) -> None:
        if self.looked is None or self.signals.stop.is_set():
            return
        mine = self.rota.itself(self.looked, self.host.now().timestamp())
        looked = with_dials(self.looked, Dialled((), mine, self.rota.resolved))
        report = pipeline.report(self.host, self.want, self._request(), self.started, looked)
        if report.interrupted:
            return
        # The dials first: a kill between the two must not leave a report that knows more than the next daemon.
        self._save(state.PROBES, probes.dump(self.rota.kept))
        self._save(state.REPORT, archive.dump(report))
        self._remember_mount(report, self.looked.snapshot.instances)
        if self.options.textfile:
            self._save_metrics(report)
        self._tell(report)

    def _request(self) -> Request:
        return Request(
            checks=checks.catalogue(),
            peer_timeout=_PEER_TIMEOUT,
            progress=lambda _done, _total: self._alive(),
            stop=self.signals.stop,
            config_error=self.config_error,
        )

    def _save(self, path: PurePosixPath, text: str) -> None:
        try:
            state.save(self.host, path, text)
        except OSError as error:
            self._failed(f"cannot write {path}", error.strerror or str(error))
        else:
            self.failing.pop(f"cannot write {path}", None)

    def _remember_mount(self, report: Report, found: Union[Instances, Unreadable]) -> None:
        """For the looks to come: what is not mounted one day may be named by no file."""
        mount = found.mount if isinstance(found, Instances) else found
        missed = any(finding.reason == "share_not_mounted" for _, finding in report.findings())
        if missed or not isinstance(found, Instances) or not isinstance(mount, Mount):
            return
        if found.mount_is_ours_alone or mount.mountpoint == mount.mountpoint.parent:
            return  # the root is always there
        text = reminder(mount)
        if found.remembered is None or reminder(found.remembered) != text:
            self._save(MOUNTED, text)

    def _save_metrics(self, report: Report) -> None:
        from agent import metrics

        path = PurePosixPath(self.options.textfile)
        try:
            text = metrics.text(archive.as_json(report), self.host.now())
            state.publish(self.host.root, path, text)
        except OSError as error:
            self._failed(f"cannot write {path}", error.strerror or str(error))
        else:
            self.failing.pop(f"cannot write {path}", None)

    def _failed(self, what: str, why: str) -> None:
        """At the start a reason to give up; later the disk may have room again.  Told once, not each time."""
        if self.told is None:
            raise CannotStart(f"{what}: {why}")
        if self.failing.get(what) != why:
            self.failing[what] = why
            notify.log(visible(f"{what}: {why}"), notify.ERROR)

    def _tell(self, report: Report) -> None:
        for change in changes.changes(self.told, report):
            priority = notify.WARNING if change.bad else notify.NOTICE
            notify.log(change.message, priority, _fields(change))
        self.told = changes.remembered(self.told, report)
        self.manager.tell(f"STATUS={changes.in_one_line(report)}")

    def _reload(self) -> None:
        """A file that cannot be used changes nothing but what is said about it."""
        self.signals.reload = False
        self.manager.tell("RELOADING=1", notify.monotonic_line())
        try:
            self.want = load(self.host, self.options.config)
        except (Refusal, DocumentError) as error:
            self.config_error = str(error)
        else:
            self.config_error = None
        self.manager.tell("READY=1")

    def _alive(self) -> None:
        """Told by the work between its steps: where the work hangs, so does this."""
        if self.manager.watchdog is not None:
            self.manager.tell("WATCHDOG=1")

    def _patience(self) -> float:
        return self.manager.watchdog / _SIGN if self.manager.watchdog else float(self.want.interval)


def _fields(change: changes.Change) -> dict[str, str]:
    words = {
        "MESSAGE_ID": _PEER if change.peer else _CHECK if change.check else _HOST,
        "AGENT_STATUS": change.status,
        "AGENT_ROLE": change.role,
        "AGENT_CHECK": change.check,
        "AGENT_PEER": change.peer,
        "AGENT_REASON": change.reason,
    }
    return {name: value for name, value in words.items() if value}
