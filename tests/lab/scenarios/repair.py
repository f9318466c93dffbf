"""`agent --fix` on a pair with a fault: it must do what it calls fixable, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from tests.lab.fleet import Fleet
from tests.lab.host import Host, LabError
from tests.lab.provision import (
    OUR_KNOWN_HOSTS,
    Run,
    agent,
    changed,
    on_each,
    put_record,
    record,
    state,
)
from tests.lab.scenarios.fault import DESTINATION, SOURCE
from tests.lab.scenarios.judge import STANDING

TREES = ("/etc", "/var/lib/nova", "/usr/lib/openssh", "/srv", "/opt")
ROOTS = "0:0"
# The program's own, and what usermod leaves beside the files it rewrites.
OWN = ("/var/lib/resize-agent", "/etc/resize-agent")
BESIDE = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid")


@dataclass(frozen=True)
class Repair:
    promised: bool
    """Whether everything in the way was called fixable."""
    trespasses: tuple[str, ...]
    """What changed on a host and no applied step names, and what is open to more than before."""
    applied: tuple[str, ...]


def repair(fleet: Fleet, before: dict[str, Run]) -> Repair:
    trees = {host.name: state(host, *TREES) for host in fleet}
    done = _fixes(
        fleet, "--no-probe"
    )  # who dials whom is of no interest before the records are round
    hand_round_known(fleet)
    done += _fixes(fleet)
    trespasses: list[str] = []
    for host in fleet:
        targets = {p for run in done if run.host == host.name for s in steps(run) for p in named(s)}
        after = state(host, *TREES)
        differs = changed(_dull(trees[host.name]), _dull(after))
        trespasses += _unexplained(host.name, differs, targets)
        theirs = {ROOTS, _novas(host)}
        trespasses += (f"{host.name}: {p}" for p in loosened(trees[host.name], after, theirs))
    applied = [f"{run.host} {s['result']}: {s['action']}" for run in done for s in steps(run)]
    return Repair(promised(before), tuple(trespasses), tuple(applied))


def steps(run: Run) -> list[dict[str, str]]:
    applied: list[dict[str, str]] = run.report["applied"] if run.stdout else []
    return applied


def named(step: dict[str, str]) -> set[str]:
    """The paths that a step speaks of: its target, and what its description says it does beside."""
    return {step["target"], *re.findall(r"/[^\s,:;]+", step["action"])}


def promised(runs: dict[str, Run]) -> bool:
    """A self-dial only shows what the other findings explain, so it needs no fix of its own."""
    wanted = [*_in_the_way(runs[SOURCE], "source", DESTINATION)]
    wanted += _in_the_way(runs[DESTINATION], "destination", SOURCE)
    return bool(wanted) and all(wanted)


def _in_the_way(run: Run, role: str, other: str) -> Iterable[bool]:
    for check in run.report["checks"]:
        for finding in check["findings"]:
            mine = check["role"] in (role, "both") and finding["peer"] in (None, other)
            if mine and check["id"] != "self_dial" and finding["outcome"] in STANDING:
                yield finding["fixable"]


def _fixes(fleet: Fleet, *options: str) -> list[Run]:
    runs = on_each(fleet, lambda host: agent(host, "--fix", "--peer-timeout", "10", *options))
    return [runs[SOURCE], runs[DESTINATION]]


def hand_round_known(fleet: Fleet) -> None:
    """A host that cannot know its own record keeps the one it had."""
    for host in fleet:
        try:
            told = record(host)
        except LabError:
            continue
        for other in fleet:
            put_record(other, host.name, told)


def _unexplained(host: str, differs: Iterable[str], targets: set[str]) -> list[str]:
    paths = {_path(line) for line in differs}
    return sorted(f"{host}: {path}" for path in paths if not _explained(path, targets))


def _novas(host: Host) -> str:
    """uid:gid, of the account as a fault may have changed it; nobody's where there is none."""
    return host.sh('echo "$(id -u nova):$(id -g nova)"', check=False).stdout.strip()


def loosened(before: Iterable[str], after: Iterable[str], theirs: Container[str]) -> list[str]:
    """Paths that others than their owner may do more with, and those that are not `theirs` (nova's, root's) any more."""
    old, new = _inodes(before), _inodes(after)
    both = sorted(old.keys() & new.keys() - {OUR_KNOWN_HOSTS})
    return [path for path in both if _opened(*old[path], *new[path], theirs)]


def _opened(
    old_mode: int, old_owner: str, new_mode: int, new_owner: str, theirs: Container[str]
) -> bool:
    given_away = new_owner != old_owner and new_owner not in theirs
    return bool(new_mode & ~old_mode & 0o7077) or given_away


def _inodes(lines: Iterable[str]) -> dict[str, tuple[int, str]]:
    """(mode, owner) by path, of what is no link."""
    found = (line.partition("\t") for line in lines)
    facts = {path: told.split() for path, tab, told in found if tab and told[0] != "l"}
    return {path: (int(words[1], 8), words[2]) for path, words in facts.items()}


def _dull(lines: Iterable[str]) -> list[str]:
    """Without the times of directories: a dial makes and removes one wherever the instances are kept."""
    return [re.sub(r"(\td \d+ \d+:\d+) \S+", r"\1", line) for line in lines]


def _path(line: str) -> str:
    return line.split("\t")[0] if "\t" in line else line.split("  ", 1)[-1]


def _explained(path: str, targets: set[str]) -> bool:
    if path.startswith((*OWN, *BESIDE)) or path in ("/etc", "/etc/.pwd.lock"):
        return True
    parents = {target.rsplit("/", 1)[0] for target in targets}
    return path in parents or any(
        path == t or path in (f"{t}.pub", f"{t}.pub.old", f"{t}-") for t in targets
    )
