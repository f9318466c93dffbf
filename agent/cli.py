"""`agent`: the only module that prints and decides the exit status."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Callable, Optional

from agent import archive, checks, own_record, pipeline, render, settings
from agent.document import DocumentError
from agent.formats.escape import visible
from agent.formats.record import render as record_text
from agent.host import CannotStart, Host, Locked
from agent.model import Check, File, Outcome, Report, Result, Role, Scope, Unreadable
from agent.observe import observe
from agent.options import parser
from agent.reasons import Side

READY, NOT_READY, USAGE, CANNOT_TELL, WORK_TO_DO, LOCKED = 0, 1, 2, 3, 4, 5


class Refusal(Exception):
    """A usage or configuration error: `args[0]` is for stderr."""


class Stop:
    """What a signal leaves behind: the event that ends the run, and which signal it was."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal = 0

    def __call__(self, number: int, _frame: object) -> None:
        self.signal = number
        self.event.set()


def main(argv: Optional[Sequence[str]] = None) -> int:
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()  # here, where a reader that has gone is understood
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to tell anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(argv: Optional[Sequence[str]]) -> int:
    arguments = parser().parse_args(argv)
    try:
        return _COMMANDS[arguments.command](arguments)
    except (Refusal, DocumentError) as error:
        return _complain(str(error), USAGE)
    except Locked as error:
        return _complain(str(error), LOCKED)
    except CannotStart as error:
        return _complain(str(error), CANNOT_TELL)


def _complain(message: str, status: int) -> int:
    print(f"agent: {visible(message, 2000)}", file=sys.stderr)
    return status


def _check(arguments: argparse.Namespace) -> int:
    if arguments.list_checks:
        return _list_checks()
    if not arguments.fix and (arguments.dry_run or arguments.diff):
        raise Refusal("--dry-run and --diff go with --fix")
    host = Host(_directory(arguments.root))
    want = _settings(host, arguments.config)
    if arguments.fix and not host.privileged:
        raise Refusal("--fix changes the system: run it as root")
    with _stoppable() as stop:
        request = _request(arguments, host, stop)
        if arguments.fix and arguments.dry_run:
            return _dry_run(arguments, pipeline.planned(host, want, request))
        run = pipeline.fix if arguments.fix else pipeline.check
        try:
            report = run(host, want, request)
        except pipeline.NoSuchPeer as error:
            raise Refusal(str(error)) from None
        _show(arguments, report)
        if stop.signal:
            return 128 + stop.signal
    return (
        fixed_status(report, arguments.strict)
        if arguments.fix
        else status(report, arguments.strict)
    )


def _dry_run(arguments: argparse.Namespace, report: Report) -> int:
    if arguments.format == "json":
        sys.stdout.write(archive.dump(report))
    else:
        sys.stdout.write(render.dry_run(report, _style(arguments)))
    if report.plan.steps:
        return WORK_TO_DO
    return fixed_status(report, arguments.strict)


def status(report: Report, strict: bool) -> int:
    """1 before 3 before 0 (the report's own rule of `ready`, with not knowing told apart)."""
    roles = {report.role_outcome(Role.SOURCE), report.role_outcome(Role.DESTINATION)}
    failed = [row for row in report.peers if row.outcome is Outcome.FAIL]
    if Outcome.FAIL in roles or any(strict or row.side is Side.HERE for row in failed):
        return NOT_READY
    if report.probed and not report.some_peer_passes and failed:
        return NOT_READY
    if Outcome.UNKNOWN in roles or (report.probed and not report.some_peer_passes):
        return CANNOT_TELL
    return READY


def fixed_status(report: Report, strict: bool) -> int:
    """This host's own side only: peers that do not accept us yet are somebody else's next step."""
    roles = {report.role_outcome(Role.SOURCE), report.role_outcome(Role.DESTINATION)}
    failed = [row for row in report.peers if row.outcome is Outcome.FAIL]
    steps = any(result.result is not Result.DONE for result in report.applied)
    if Outcome.FAIL in roles or steps or any(strict or row.side is Side.HERE for row in failed):
        return NOT_READY
    return CANNOT_TELL if Outcome.UNKNOWN in roles else READY


def _show(arguments: argparse.Namespace, report: Report) -> None:
    if arguments.format == "json":
        sys.stdout.write(archive.dump(report))
        return
    if arguments.dry_run:
        sys.stdout.write(render.dry_run(report, _style(arguments)))
        return
    sys.stdout.write(render.text(report, _style(arguments)))
    if arguments.fix and report.scope is Scope.FULL and report.peers:
        passing = sum(1 for row in report.peers if row.outcome is Outcome.PASS)
        side = "ready" if fixed_status(report, False) == READY else "NOT ready"
        print(f"Local side {side}; {passing} of {len(report.peers)} peers accept me yet.")


def _style(arguments: argparse.Namespace) -> render.Style:
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    colour = arguments.color == "always" or (
        arguments.color == "auto" and not plain and sys.stdout.isatty()
    )
    return render.Style(colour, arguments.verbose, arguments.quiet, arguments.diff)


def _list_checks() -> int:
    for check in checks.catalogue():
        print(f"{check.id:<22} {check.role.value:<12} {check.summary}")
    return READY


def _facts(arguments: argparse.Namespace) -> int:
    host = Host(_directory(arguments.root))
    snapshot = observe(host, _settings(host, arguments.config))
    record = own_record.build(snapshot)
    if isinstance(record, Unreadable):
        return _complain(f"this host's record cannot be known: {record.reason}", CANNOT_TELL)
    sys.stdout.write(record_text(record))
    if own_record.doubt(snapshot):
        _complain(f"warning: {own_record.doubt(snapshot)}", READY)
    return READY


def _explain(arguments: argparse.Namespace) -> int:
    from agent import evidence, explain
    from agent.formats import nova_told

    catalogue, word, as_json = checks.catalogue(), arguments.word, arguments.format == "json"
    page = explain.document(word, catalogue) if as_json else explain.page(word, catalogue)
    if page is None:
        try:
            names = evidence.host_names(Host(_directory(arguments.root)))
            told = nova_told.read(evidence.chunks(word), names)
        except evidence.CannotRead as error:
            raise Refusal(str(error)) from None
        if not told.recognised and " " not in word and not evidence.is_file(word):
            near = ", ".join(explain.nearest(word, catalogue))
            hint = f"; did you mean {near}?" if near else "; `agent explain` lists them all"
            raise Refusal(f"{visible(word, 100)} is no check, reason code or file{hint}")
        page = explain.history_document(told) if as_json else explain.history(told)
    sys.stdout.write(page)
    return READY


def _config(arguments: argparse.Namespace) -> int:
    host = Host(_directory(arguments.root))
    want = _settings(host, arguments.config)
    if arguments.what == "show":
        for key, value, origin in settings.shown(want):
            print(f"{key:<18} {value:<28} # {origin}")
    else:
        print("The configuration is fine.")
    return READY


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "facts": _facts,
    "explain": _explain,
    "config": _config,
}


def _directory(root: str) -> str:
    if not os.path.isdir(root):
        raise Refusal(f"--root {root}: no such directory")
    return root


def _settings(host: Host, config: Optional[str]) -> settings.Settings:
    """`--config` replaces the file and the drop-ins, and is read outside `--root`."""
    if config is not None:
        try:
            return settings.parse([(config, Path(config).read_bytes())])
        except OSError as error:
            raise Refusal(f"{config}: {error.strerror}") from None
    names = host.names(settings.DROP_INS)
    if isinstance(names, Unreadable):
        raise Refusal(names.reason)
    drop_ins = [n for n in names if n.endswith(".yaml")] if isinstance(names, tuple) else []
    paths = [settings.CONFIG, *(settings.DROP_INS / name for name in drop_ins)]
    return settings.parse([pair for path in paths for pair in _text(host, path)])


def _text(host: Host, path: PurePosixPath) -> Iterator[tuple[str, bytes]]:
    seen = host.file(path, limit=1 << 20)
    if isinstance(seen, Unreadable):
        raise Refusal(seen.reason)
    if isinstance(seen, File):
        if seen.content is None:
            raise Refusal(f"{path}: is not a regular file")
        yield str(path), seen.content


def _request(arguments: argparse.Namespace, host: Host, stop: Stop) -> pipeline.Request:
    catalogue = checks.catalogue()
    known = {check.id for check in catalogue}
    for name in (*arguments.only, *arguments.skip):
        if name not in known:
            raise Refusal(f"{visible(name, 100)}: no such check; agent --list-checks names them")
    wanted = tuple(
        c
        for c in catalogue
        if (not arguments.only or c.id in arguments.only) and c.id not in arguments.skip
    )
    host.halted = stop.event.is_set
    return pipeline.Request(
        checks=wanted,
        peer=arguments.peer.lower(),
        probing=not arguments.no_probe,
        omitted=tuple(_omitted(arguments, catalogue, wanted)),
        timeout=arguments.timeout,
        peer_timeout=arguments.peer_timeout,
        progress=_progress(),
        stop=stop.event,
    )


def _omitted(
    arguments: argparse.Namespace, catalogue: Sequence[Check], wanted: Sequence[Check]
) -> Iterator[str]:
    left = [check.id for check in catalogue if check not in wanted]
    if left:
        yield "checks " + ", ".join(left)
    if arguments.peer:
        yield f"peers other than {arguments.peer}"
    if arguments.no_probe:
        yield "real dials to peers and to this host itself (--no-probe)"


def _progress() -> Callable[[int, int], None]:
    """On a terminal, from the second second on."""
    started, wanted = time.monotonic(), sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if wanted and time.monotonic() - started > 1:
            end = "\n" if done == total else ""
            print(f"\rdialled {done} of {total}", end=end, file=sys.stderr, flush=True)

    return show


@contextmanager
def _stoppable() -> Iterator[Stop]:
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
