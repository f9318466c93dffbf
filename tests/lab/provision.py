"""The program's main job in steps, as an operator or a play does them, and its word on each pair."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import jsonschema
import pytest

from tests.lab.fleet import SOURCE, Fleet
from tests.lab.host import Host, LabError
from tests.lab.oracle import Outcome

PEERS = "/etc/resize-agent/peers.d"
NOVA_HOME = "/var/lib/nova"
AUTHORIZED_KEYS = f"{NOVA_HOME}/.ssh/authorized_keys"
KNOWN_HOSTS = f"{NOVA_HOME}/.ssh/known_hosts"
OUR_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts.nova"
OUR_CLIENT_CONFIG = "/etc/ssh/ssh_config.d/50-resize-agent.conf"

SCHEMA = json.loads((SOURCE / "agent" / "report.schema.json").read_text())

Pair = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class Run:
    """One run with `--format json`.  Put it behind an assertion: it prints what the agent said."""

    host: str
    arguments: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @cached_property
    def report(self) -> dict[str, Any]:
        try:
            report: dict[str, Any] = json.loads(self.stdout)
        except ValueError:
            said = f"{self.stdout}{self.stderr}"
            raise AssertionError(f"{self.host}: no report, {self.status}:\n{said}") from None
        return report

    @property
    def findings(self) -> list[dict[str, Any]]:
        return [
            {"check": check["id"], **finding}
            for check in self.report["checks"]
            for finding in check["findings"]
        ]

    def reasons(self, *outcomes: str) -> set[str]:
        """Codes of what was found with one of these outcomes (all but pass and skip if none)."""
        wanted = outcomes or ("fail", "unknown", "warn")
        return {f["reason"] for f in self.findings if f["outcome"] in wanted}

    def about(self, reason: str) -> list[dict[str, Any]]:
        return [finding for finding in self.findings if finding["reason"] == reason]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.report["peers"]}

    @property
    def steps(self) -> list[tuple[str, str]]:
        return [(step["action"], step["target"]) for step in self.report["plan"]["steps"]]

    @property
    def applied(self) -> list[tuple[str, str, str]]:
        return [(s["action"], s["target"], s["result"]) for s in self.report["applied"]]

    def __repr__(self) -> str:
        said = [f"\n{self.host}: agent {shlex.join(self.arguments)} -> {self.status}"]
        try:
            said += _told(self)
        except (AssertionError, KeyError):
            said += [self.stdout]
        return "\n".join([*said, self.stderr])


def _told(run: Run) -> Iterator[str]:
    yield f"ready={run.report['ready']} roles={run.report['roles']}"
    for step in run.report["applied"]:
        yield f"  {step['result']}: {step['action']}: {step['message']}"
    for f in run.findings:
        if f["outcome"] not in ("pass", "skip"):
            who = f["peer"] or f["subject"]
            yield f"  {f['outcome']} {f['check']}/{f['reason']} {who}: {f['message']}"
    for name, row in run.rows.items():
        yield f"  -> {name}: {row['outcome']} {row['reason']} {row['stage']}: {row['message']}"
    yield from (f"  would {action}" for action, _ in run.steps)


def agent(host: Host, *arguments: str, user: str | None = None) -> Run:
    done = host.agent(*arguments, "--format", "json", user=user)
    return Run(host.name, arguments, done.returncode, done.stdout, done.stderr)


def everywhere(fleet: Fleet, *arguments: str) -> dict[str, Run]:
    return on_each(fleet, lambda host: agent(host, *arguments))


def on_each(fleet: Fleet, do: Callable[[Host], T]) -> dict[str, T]:
    """Two hosts at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(fleet.hosts, pool.map(do, fleet), strict=True))


def record(host: Host) -> str:
    told = host.agent("facts")
    if told.returncode:
        raise LabError(f"{host.name}: agent facts ended with {told.returncode}:\n{told.stderr}")
    return told.stdout


def put_record(host: Host, name: str, text: str | bytes) -> None:
    host.sh(f"[ -d {PEERS} ] || mkdir -p {PEERS}")  # a row may have broken mkdir
    host.write(f"{PEERS}/{name}.yaml", text, mode=0o644)


def hand_round(fleet: Fleet) -> dict[str, str]:
    """Every host's record to every host, itself included."""
    records = on_each(fleet, record)
    for host in fleet:
        for name, text in records.items():
            put_record(host, name, text)
    return records


def converge(fleet: Fleet) -> dict[str, Run]:
    """All that an operator does: records, --fix, the records once more, --fix."""
    hand_round(fleet)
    everywhere(fleet, "--fix")
    hand_round(fleet)
    return everywhere(fleet, "--fix")


def pairs_ready(runs: Mapping[str, Run]) -> dict[Pair, bool]:
    """The agent's word for every ordered pair, from the reports of all hosts."""
    return {(a, b): pair_ready(runs[a], runs[b]) for a in runs for b in runs if a != b}


def pair_ready(source: Run, destination: Run) -> bool:
    leaves = source.report["roles"]["source"]["ready"] is True
    row = source.rows.get(destination.host)
    arrives = destination.report["roles"]["destination"]["ready"] is True
    return leaves and arrives and row is not None and row["outcome"] == "pass"


def pairs_moved(outcomes: Mapping[Pair, Outcome]) -> dict[Pair, bool]:
    """What Nova's own driver made of them."""
    return {pair: outcome.verdict == "OK" for pair, outcome in outcomes.items()}


# Everything that is there and what it is: type, mode, owner, time of change, link target, content.
# What is huge (a sparse file as a fault) is known by its time of change alone.
# A dial makes and removes a directory in the instances directory, so its time says nothing.
STATE = r"""
for root; do
    [ -e "$root" ] || continue
    find "$root" -path /var/lib/nova/instances -printf '%p\t%y %m %U:%G\n' \
        -o -printf '%p\t%y %m %U:%G %C@ %l\n'
    find "$root" -type f -size -64M -exec sha256sum {} +
done
"""


def state(host: Host, *roots: str) -> list[str]:
    """Content and inode data of whole trees; two equal answers mean that nothing was touched."""
    listed = host.run(["/bin/sh", "-eu", "-c", STATE, "sh", *roots])
    if listed.returncode:
        raise LabError(f"{host.name}: {listed.stderr}")
    return sorted(listed.stdout.splitlines())


def changed(before: list[str], after: list[str]) -> list[str]:
    """What of `state` came, went or is different."""
    return sorted(set(before) ^ set(after))


def assert_valid(report: dict[str, Any]) -> None:
    """Against the schema that ships with the program."""
    jsonschema.validate(report, SCHEMA, jsonschema.Draft202012Validator)


def strangers_key(owner: str) -> str:
    """A well-formed public key of somebody who has nothing to do with us."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + hashlib.sha256(owner.encode()).digest()
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def trust_of(host: Host) -> bytes:
    """All that nova's ssh and sshd could trust, in one text, to look for what must not be there."""
    places = f"{NOVA_HOME}/.ssh /etc/ssh/ssh_known_hosts*"
    found = host.sh(f"find {places} -type f ! -name 'id_*' -exec cat {{}} + 2>/dev/null || true")
    return found.stdout.encode(errors="surrogateescape")


def explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    """Body of a fixture: what the hosts say of themselves is printed where the test failed."""
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        print(fleet.diagnose())
        for host in fleet:
            print(host.agent("--no-probe", timeout=60).stdout)
