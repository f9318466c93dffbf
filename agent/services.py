"""The commands that stay: `agent daemon` and `agent exporter`."""

from __future__ import annotations

import argparse
import os

from agent.exit_status import Refusal
from agent.options import LISTEN
from agent.stopping import stoppable


def daemon(arguments: argparse.Namespace) -> int:
    """Until SIGTERM.  Raises Refusal, DocumentError, Locked, CannotStart."""
    from agent import daemon as work
    from agent.configuration import load
    from agent.host import CannotStart, Host

    host = Host(_live(arguments.root))
    if not host.privileged:
        raise Refusal("agent daemon sees most of a host as root only: run it as root")
    if not host.can_end_others:
        raise CannotStart("agent daemon needs CAP_KILL to end a dial that hangs")
    want = load(host, arguments.config)
    os.umask(0o022)
    return work.run(
        host,
        want,
        work.Options(
            config=arguments.config,
            textfile=_absolute(arguments.textfile),
            listen=tuple(arguments.listen),
            web_config=arguments.web_config,
        ),
    )


def exporter(arguments: argparse.Namespace) -> int:
    """Until SIGTERM."""
    from agent.exporter import ExporterSettings, serve

    _live(arguments.root)
    listen = tuple(arguments.listen or (LISTEN,))
    want = ExporterSettings(listen, arguments.report, arguments.web_config)
    with stoppable() as stop:
        return serve(want, stop.event)


def _live(root: str) -> str:
    if root != "/":
        raise Refusal(f"--root {root}: an image has nothing to watch")
    return root


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""
