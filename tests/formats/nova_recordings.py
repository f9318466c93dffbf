"""Failed resizes as Nova wrote them, for the tests of what is read from that.

`data/nova/*.txt` were recorded from nova 26.2.2's own driver, manager and oslo.log between hosts with
a real sshd: the fault as the API stores it, the whole exception, and the log.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from agent.formats import nova_log
from agent.formats.nova_fault import Fault

DATA = Path(__file__).parent / "data" / "nova"
NAMES = sorted(path.stem for path in DATA.glob("*.txt"))
GUEST = "3f1c2b6e-8a4d-4c7e-9b10-5d6e7f809103"


class Recording(NamedTuple):
    expected: list[str]
    api: str
    exception: str
    log: str


def recording(name: str) -> Recording:
    head, _, rest = (DATA / f"{name}.txt").read_text(encoding="utf-8").partition("--- api\n")
    api, _, rest = rest.partition("\n--- exception\n")
    exception, _, log = rest.partition("\n--- log\n")
    expected = head.removeprefix("expected: ").split()
    return Recording([] if expected == ["none"] else expected, api, exception, log)


FAILED = [name for name in NAMES if recording(name).expected]


def said(fault: Fault | None) -> str:
    return f"{fault.reason}/{fault.state.value}" if fault else "nothing"


def failures(log: str | bytes) -> list[nova_log.Failure]:
    return nova_log.read([log.encode() if isinstance(log, str) else log]).failures
