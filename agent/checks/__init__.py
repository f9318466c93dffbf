"""One file, one rule.  Dropping a file in here is the whole registration."""

from __future__ import annotations

import errno
import pkgutil
from collections.abc import Iterable
from importlib import import_module

from agent import profiles
from agent.model import Check, CheckResult, Finding, Outcome, Snapshot
from agent.settings import Settings


def catalogue() -> tuple[Check, ...]:
    """Every check, in the order of their ids.  Raises OSError where this folder cannot be listed: no check found nothing wrong."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if not names:
        raise PermissionError(errno.EACCES, "the folder of checks cannot be listed", __path__[0])
    return tuple(import_module(f"{__name__}.{name}").CHECK for name in names)


def evaluate(
    checks: Iterable[Check], snapshot: Snapshot, want: Settings
) -> tuple[CheckResult, ...]:
    return tuple(CheckResult(check, _findings(check, snapshot, want)) for check in checks)


def _findings(check: Check, snapshot: Snapshot, want: Settings) -> tuple[Finding, ...]:
    found: list[Finding] = []
    try:
        seen = profiles.at_login(snapshot, want) if check.of_login else (snapshot, want)
        found.extend(check.evaluate(*seen))
    except Exception as error:  # one bug of ours must not hide what the other checks found
        text = f"{type(error).__name__}: {error}"
        found.append(Finding(check.id, Outcome.UNKNOWN, text, "check_crashed"))
    return profiles.withheld(found, snapshot.layout)
