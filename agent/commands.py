"""The commands that look at a host, say what they found and end."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Callable

from agent import archive, checks, own_record, pipeline, render, settings, wanted
from agent.complaint import complain
from agent.configuration import load
from agent.exit_status import CANNOT_TELL, READY, WORK_TO_DO, Refusal, fixed_status, status
from agent.formats.escape import visible
from agent.formats.prune import Guarded
from agent.formats.record import render as record_text
from agent.host import Host
from agent.model import Outcome, Report, Scope, Unreadable
from agent.observe import layout as layouts
from agent.observe import observe
from agent.stopping import Stop, bounded

_LOOKING = 240.0  # seconds for one look at this host


def check(arguments: argparse.Namespace, stop: Stop) -> int:
    """`agent` and `agent --fix`, ended early by `stop`."""
    if arguments.list_checks:
        return _list_checks()
    gc.disable()  # what a run makes it keeps to its end: the collector would go through it again and again
    if not arguments.fix and (arguments.dry_run or arguments.diff):
        raise Refusal("--dry-run and --diff go with --fix")
    if arguments.prune is not None and not arguments.fix:
        raise Refusal("--prune goes with --fix")
    host = Host(_directory(arguments.root))
    want = load(host, arguments.config)
    if arguments.fix and not host.privileged:
        raise Refusal("--fix changes the system: run it as root")
    host.halted = stop.event.is_set
    request = wanted.request(arguments, stop, _progress())
    run = pipeline.fix if arguments.fix else pipeline.check
    if arguments.dry_run:
        run = pipeline.planned
    try:
        with bounded(arguments.timeout):
            report = replace(run(host, want, request), strict=arguments.strict)
    except (pipeline.NoSuchPeer, Guarded) as error:
        raise Refusal(str(error)) from None
    _show(arguments, report)
    if report.interrupted:
        return 128 + stop.signal
    if arguments.textfile:
        _export(host, arguments.textfile, report)
    if arguments.dry_run and report.plan.steps:
        return WORK_TO_DO
    return fixed_status(report) if arguments.fix else status(report)


def _show(arguments: argparse.Namespace, report: Report) -> None:
    if arguments.format == "json":
        sys.stdout.write(archive.dump(report))
        return
    if arguments.dry_run:
        sys.stdout.write(render.dry_run(report, _style(arguments)))
        return
    if arguments.format == "prometheus":
        sys.stdout.write(_exposition(report))
        return
    sys.stdout.write(render.text(report, _style(arguments)))
    if arguments.fix and report.scope is Scope.FULL and report.peers:
        passing = sum(1 for row in report.peers if row.outcome is Outcome.PASS)
        own_side = fixed_status(replace(report, strict=False))
        side = "ready" if own_side == READY else "NOT ready"
        print(f"local side {side}; {passing} of {len(report.peers)} peers accept me yet")


def _exposition(report: Report) -> str:
    from agent import metrics  # brings prometheus_client with it

    return metrics.text(archive.as_json(report), report.taken_at)


def _export(host: Host, path: str, report: Report) -> None:
    from agent import state

    try:
        state.publish(host.root, PurePosixPath(os.path.abspath(path)), _exposition(report))
    except OSError as error:
        raise Refusal(f"--textfile {path}: {error.strerror}") from None


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
    with bounded(_LOOKING):
        snapshot = observe(host, load(host, arguments.config))
    record = own_record.build(snapshot)
    if isinstance(record, Unreadable):
        return complain(f"this host's record cannot be known: {record.reason}", CANNOT_TELL)
    sys.stdout.write(record_text(record))
    if doubt := own_record.doubt(snapshot):
        complain(f"warning: {doubt}", READY)
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
    want = load(host, arguments.config)
    if arguments.what == "show":
        for key, value, origin in (*settings.shown(want), _layout(host, want)):
            print(f"{key:<20} {value:<28} # {origin}")
    else:
        print("The configuration is fine.")
    return READY


def _layout(host: Host, want: settings.Settings) -> tuple[str, str, str]:
    """What `profile` comes to on this host, and why."""
    found = layouts.find(host, want)
    if isinstance(found, Unreadable):
        return "(layout)", "unknown", found.reason
    return "(layout)", found.profile, found.why


def _directory(root: str) -> str:
    if not os.path.isdir(root):
        raise Refusal(f"--root {root}: no such directory")
    return root


def _progress() -> Callable[[int, int], None]:
    """On a terminal, from the second second on."""
    started, wanting = time.monotonic(), sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if wanting and time.monotonic() - started > 1:
            end = "\n" if done == total else ""
            print(f"\rdialled {done} of {total}", end=end, file=sys.stderr, flush=True)

    return show


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "facts": _facts,
    "explain": _explain,
    "config": _config,
}
