"""The command line as values.  It describes; cli acts."""

from __future__ import annotations

import argparse
import math
from typing import Optional

from agent import __version__
from agent.settings import STATE

_EPILOG = """\
commands:
  agent                  check this host and its peers, print the report
  agent --fix            plan, apply, look again, print what changed and the new report
  agent --fix --dry-run  the same plan, not applied; --diff shows the text of every change
  agent facts            this host's own peer record, for /etc/resize-agent/peers.d/NAME.yaml on the others
  agent explain [WHAT]   a check id or a reason code: what it means and what to do; all of them without WHAT
                         a fault text, the output of `openstack server event show`, a nova-compute.log, or - for
                         standard input: why the resize failed, who acts, how to recover the guest safely
  agent daemon           check on a schedule and keep /var/lib/resize-agent/report.json current
  agent exporter         serve that report as Prometheus metrics and as a page
  agent config show      every setting, its value and where it comes from
  agent config check     whether the configuration can be read

exit status:
  0 ready, or made ready    1 not ready             2 usage or configuration error
  3 cannot tell             4 --dry-run found work  5 another --fix (or daemon) is running
  130, 143 interrupted
"""


_EXPLAIN = """\
examples:
  agent explain                                  every check and every reason code
  agent explain host_key_unknown                 one of them
  agent explain 'Resize error: not able to execute ssh command: ... Host key verification f'
  openstack server event show SERVER REQUEST | agent explain -
  openstack server show SERVER -f json | agent explain -
  agent explain /var/log/nova/nova-compute.log   every failed resize in it
  zcat -f /var/log/nova/nova-compute.log* | agent explain --format json -

A text or log gives cause, pair of hosts, who acts, what Nova did to the guest and how that is known, the check
that sees it before, the command that proves it, the remedy and the safe recovery. The API cuts a fault at 255
characters, so the log tells more: that of the source, except where the failure came after the disk had moved.

exit status: 0 explained (failures found or not), 2 unknown code or a file that cannot be read
"""


_DAEMON = """\
signals:
  SIGTERM  end, within five seconds
  SIGHUP   read the configuration again; one that is not valid changes nothing and is shown in the report
  SIGUSR1  look at this host again now (`agent --fix` asks for it)

files: /var/lib/resize-agent/report.json and probes.json

exit status: 0 ended by a signal, 2 usage or configuration error at the start, 3 its files cannot be written or its
port cannot be had, 5 another daemon runs on this host
"""
_TEXTFILE = "write the metrics there too, for node_exporter's textfile collector (NAME.prom)"
LISTEN = "[::]:19122"
_PRUNED = 20.0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="agent",
        usage="agent [options]\n       agent COMMAND [options]",
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
    # The epilog tells of the commands.
    commands = top.add_subparsers(
        dest="sub", prog="agent", metavar="COMMAND", help=argparse.SUPPRESS
    )
    facts = commands.add_parser(
        "facts",
        description="Print this host's own peer record, YAML, for the other hosts' peers.d.",
    )
    _placing(facts, argparse.SUPPRESS)
    facts.set_defaults(command="facts")
    _explaining(
        commands.add_parser(
            "explain",
            description="What a code means, or why a resize failed and how to come back from it.",
            epilog=_EXPLAIN,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _serving(commands)
    config = commands.add_parser(
        "config",
        description="Print every setting with where it comes from, or check that all can be read.",
    )
    config.add_argument("what", choices=("show", "check"))
    _placing(config, argparse.SUPPRESS)
    config.set_defaults(command="config")
    return top


def _serving(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    daemon = commands.add_parser(
        "daemon",
        description="Check this host every `interval` and its peers one by one by the clock; keep the report current.",
        epilog=_DAEMON,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _listening(daemon, [], "also serve metrics and the page there, for containers (repeatable)")
    daemon.add_argument("--textfile", default="", metavar="FILE", help=_TEXTFILE)
    _placing(daemon, argparse.SUPPRESS)
    daemon.set_defaults(command="daemon")
    exporter = commands.add_parser(
        "exporter",
        description="Serves what the daemon found.  A scrape never starts work; no privilege is needed.",
    )
    _listening(exporter, None, f"address and port (repeatable; {LISTEN})")
    exporter.add_argument(
        "--report", default=str(STATE / "report.json"), metavar="FILE", help="the daemon's report"
    )
    exporter.set_defaults(command="exporter")


def _listening(command: argparse.ArgumentParser, default: Optional[list[str]], told: str) -> None:
    command.add_argument("--listen", action="append", default=default, metavar="ADDR", help=told)
    command.add_argument(
        "--web-config", metavar="FILE", help="TLS and users, as exporter-toolkit's file has them"
    )


def _explaining(explain: argparse.ArgumentParser) -> None:
    explain.add_argument(
        "word",
        nargs="?",
        metavar="TEXT|FILE|-",
        help="a check id, a reason code, a fault text (in quotes), a file, or - for standard input",
    )
    explain.add_argument("--format", choices=("text", "json"), default=argparse.SUPPRESS)
    explain.set_defaults(command="explain")


def _fixing(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("repair")
    group.add_argument("--fix", action="store_true", help="make right what can be made right")
    group.add_argument(
        "--dry-run", action="store_true", help="with --fix: show the plan, change nothing"
    )
    group.add_argument(
        "--prune",
        nargs="?",
        type=_percent,
        const=_PRUNED,
        metavar="PERCENT",
        help="with --fix: withdraw our own trust in hosts that no longer have a record; refused where records are not sound"
        f" or more than PERCENT ({_PRUNED:g}) of the trusted hosts, and more than one, would go",
    )
    group.add_argument(
        "--diff", action="store_true", help="with --fix: show the text of every change"
    )


def _looking(top: argparse.ArgumentParser) -> None:
    group = top.add_argument_group("what to look at")
    group.add_argument(
        "--only", action="append", default=[], metavar="ID", help="only this check (repeatable)"
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
    group.add_argument("--format", choices=("text", "json", "prometheus"), default="text")
    group.add_argument("--textfile", default="", metavar="FILE", help=_TEXTFILE)
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


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 100")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of seconds above 0")
    return value
