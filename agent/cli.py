"""`agent`: the command line, and whom it is handed to.  A command pays for what it needs and no more."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Optional

from agent.complaint import complain
from agent.document import DocumentError
from agent.exit_status import (
    CANNOT_TELL,
    LOCKED,
    NOT_READY,
    READY,
    USAGE,
    Refusal,
    TimeIsUp,
    fixed_status,
    status,
)
from agent.options import parser

__all__ = ["CANNOT_TELL", "LOCKED", "NOT_READY", "READY", "fixed_status", "main", "status"]


def main(argv: Optional[Sequence[str]] = None) -> int:
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()  # here, where a reader that has gone is understood
    except TimeIsUp as error:
        return complain(str(error), CANNOT_TELL)
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to tell anybody.
        _discard_output()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        _discard_output()
        return 128 + signal.SIGINT
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "agent"):
            raise
        return complain(f"the Python module {library} is not installed here", CANNOT_TELL)
    except OSError as error:
        # Nobody foresaw it: no descriptor or process left, or the disk under our output is full.
        _discard_output()
        where = f" ({error.filename})" if error.filename else ""
        return complain(f"the run broke off: {error.strerror or error}{where}", CANNOT_TELL)


def _discard_output() -> None:
    """Or else Python tries once more at its end, and complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Optional[Sequence[str]]) -> int:
    arguments = parser().parse_args(argv)
    try:
        return _exporter(arguments) if arguments.command == "exporter" else _on_host(arguments)
    except (Refusal, DocumentError) as error:
        return complain(str(error), USAGE)


def _exporter(arguments: argparse.Namespace) -> int:
    """Knows a report and nothing of the host: it stays small."""
    from agent import services

    return services.exporter(arguments)


def _on_host(arguments: argparse.Namespace) -> int:
    from agent.host import CannotStart
    from agent.state import Locked

    try:
        if arguments.command == "daemon":
            from agent import services

            return services.daemon(arguments)
        if arguments.command == "check":
            from agent.stopping import stoppable

            # Before the other modules are there: a report is told however early.
            with stoppable() as stop:
                from agent import commands

                return commands.check(arguments, stop)
        from agent import commands

        return commands.COMMANDS[arguments.command](arguments)
    except Locked as error:
        return complain(str(error), LOCKED)
    except CannotStart as error:
        return complain(str(error), CANNOT_TELL)
