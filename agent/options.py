"""The command line as values.  It describes; cli acts."""

from __future__ import annotations

import argparse
import math

from agent import __version__

_EPILOG = """\
commands:
  agent                  check this host and its peers, print the report
  agent --fix            plan, apply, look again, print what changed and the new report
  agent --fix --dry-run  the same plan, not applied; --diff shows the text of every change
  agent facts            this host's own peer record, for /etc/resize-agent/peers.d/NAME.yaml on the others
  agent explain [CODE]   what a check or a reason code means and what to do; all of them without CODE
  agent config show      every setting, its value and where it comes from
  agent config check     whether the configuration can be read

exit status:
  0 ready, or made ready    1 not ready             2 usage or configuration error
  3 cannot tell             4 --dry-run found work  5 another --fix is running
  130, 143 interrupted
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="agent",
        description="Would a Nova resize or cold migration leave this compute node, and arrive at it?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"resize-agent {__version__}")
    _fixing(top)
    _looking(top)
    _showing(top)
    _placing(top, argparse.SUPPRESS)
    top.set_defaults(command="check", config=None, root="/")
    commands = top.add_subparsers(dest="sub", metavar="")
    facts = commands.add_parser("facts", help="this host's own peer record, YAML")
    _placing(facts, argparse.SUPPRESS)
    facts.set_defaults(command="facts")
    explain = commands.add_parser("explain", help="what a check or a reason code means")
    explain.add_argument("word", nargs="?", metavar="CODE", help="a reason code or a check id")
    explain.set_defaults(command="explain")
    config = commands.add_parser("config", help="the effective configuration")
    config.add_argument("what", choices=("show", "check"))
    _placing(config, argparse.SUPPRESS)
    config.set_defaults(command="config")
    return top


def _fixing(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("repair")
    group.add_argument("--fix", action="store_true", help="make right what can be made right")
    group.add_argument(
        "--dry-run", action="store_true", help="with --fix: show the plan, change nothing"
    )
    group.add_argument(
        "--diff", action="store_true", help="with --fix: show the text of every change"
    )


def _looking(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("what to look at")
    group.add_argument(
        "--only", action="append", default=[], metavar="ID", help="this check (repeatable)"
    )
    group.add_argument(
        "--skip", action="append", default=[], metavar="ID", help="not this check (repeatable)"
    )
    group.add_argument("--peer", default="", metavar="NAME", help="dial this peer alone")
    group.add_argument("--no-probe", action="store_true", help="dial nobody, not even ourselves")
    group.add_argument(
        "--timeout", type=_seconds, default=240.0, metavar="S", help="the whole run (240)"
    )
    group.add_argument(
        "--peer-timeout",
        type=_seconds,
        default=20.0,
        metavar="S",
        help="each command of a dial (20)",
    )
    group.add_argument(
        "--strict", action="store_true", help="every peer that fails makes this host not ready"
    )


def _showing(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("output")
    group.add_argument("--format", choices=("text", "json"), default="text")
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    group.add_argument("-q", "--quiet", action="store_true", help="only what is wrong")
    group.add_argument("-v", "--verbose", action="store_true", help="also what is fine")
    group.add_argument(
        "--list-checks", action="store_true", help="every check, its role and what it is about"
    )


def _placing(top: argparse.ArgumentParser, default: str) -> None:
    top.add_argument(
        "--config",
        default=default,
        metavar="FILE",
        help="this file instead of /etc/resize-agent/agent.yaml and conf.d",
    )
    top.add_argument(
        "--root", default=default, metavar="DIR", help="look at an image or mounted tree"
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of seconds above 0")
    return value
