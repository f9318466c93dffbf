"""`agent exporter`: metrics, health and the status page over HTTP, from report.json alone.  A scrape never starts work."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Optional

from agent.document import DocumentError
from agent.exporter.answers import Answers
from agent.exporter.listeners import CannotListen, opened
from agent.exporter.loop import Loop
from agent.exporter.notice import notice
from agent.exporter.report_file import ReportFile
from agent.exporter.security import Guard

STOPPED, USAGE, CANNOT_LISTEN = 0, 2, 3


@dataclass(frozen=True)
class ExporterSettings:
    """`listen` as `[::]:19122`; `report` and `web_config` are paths, the second of exporter-toolkit's format."""

    listen: tuple[str, ...]
    report: str
    web_config: Optional[str] = None


def serve(want: ExporterSettings, stop: threading.Event) -> int:
    """Answers until `stop` is set, then gives 0.  Gives 2 for a wrong setting, 3 where a port cannot be had; says why."""
    with ExitStack() as open_until_the_end:
        try:
            guard = Guard(want.web_config)
            listeners = opened(want.listen, open_until_the_end)
        except DocumentError as error:
            notice(str(error))
            return USAGE
        except CannotListen as error:
            notice(str(error))
            return CANNOT_LISTEN
        answers = Answers(ReportFile(want.report), guard)
        manner = "TLS" if guard.current().context else "plain HTTP"
        for listener in listeners:
            notice(f"listening on {listener.name} ({manner})")
        with Loop(listeners, guard, answers.to) as loop:
            loop.run(stop)
    return STOPPED
