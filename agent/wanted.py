"""From the command line to what one run is asked to look at."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Callable

from agent import checks, pipeline
from agent.exit_status import Refusal
from agent.formats.escape import visible
from agent.model import Check
from agent.stopping import Stop


def request(
    arguments: argparse.Namespace, stop: Stop, progress: Callable[[int, int], None]
) -> pipeline.Request:
    """Raises Refusal."""
    catalogue = checks.catalogue()
    wanted = _checks(arguments, catalogue)
    omitted = tuple(_omitted(arguments, catalogue, wanted))
    _complete_for_prometheus(arguments, omitted)
    return pipeline.Request(
        checks=wanted,
        peer=arguments.peer.lower(),
        probing=not arguments.no_probe,
        prune=arguments.prune,
        omitted=omitted,
        timeout=arguments.timeout,
        peer_timeout=arguments.peer_timeout,
        progress=progress,
        stop=stop.event,
    )


def _checks(arguments: argparse.Namespace, catalogue: Sequence[Check]) -> tuple[Check, ...]:
    known = {check.id for check in catalogue}
    for name in (*arguments.only, *arguments.skip):
        if name not in known:
            raise Refusal(f"{visible(name, 100)}: no such check; agent --list-checks names them")
    return tuple(
        check
        for check in catalogue
        if (not arguments.only or check.id in arguments.only) and check.id not in arguments.skip
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


def _complete_for_prometheus(arguments: argparse.Namespace, omitted: Sequence[str]) -> None:
    """Metrics have no word for "partly looked at": such a report would read as ready, or as not."""
    if arguments.format != "prometheus" and not arguments.textfile:
        return
    what = "--textfile" if arguments.textfile else "--format prometheus"
    missing = list(omitted)
    if arguments.root != "/":
        missing.append("--root: an image has no live side")
    if arguments.dry_run:
        missing.append("--dry-run: nobody is dialled")
    if missing:
        raise Refusal(f"{what} needs a whole report, and this one would be partial: {missing[0]}")
