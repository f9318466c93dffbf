"""From a raw host to a ready one: every path that is other than before, and whose trust it is that has grown."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.provision import (
    NOVA_HOME,
    OUR_CLIENT_CONFIG,
    OUR_KNOWN_HOSTS,
    changed,
    converge,
    explained,
    state,
)

pytestmark = pytest.mark.lab

TREES = ("/etc", "/root", "/home", "/srv", "/opt", "/usr/local", "/var/lib", "/var/spool")
ACCOUNTS = r"/etc/(passwd|shadow|group|gshadow|subuid|subgid)-?"
"""usermod's, for the login shell; the copies with a dash are its own."""
MEANT = re.compile(
    rf"{ACCOUNTS}|/etc/\.pwd\.lock|{OUR_KNOWN_HOSTS}|{OUR_CLIENT_CONFIG}|{NOVA_HOME}/instances"
    rf"|{NOVA_HOME}/\.ssh(/authorized_keys|/id_ed25519(\.pub)?)?"
    r"|/var/lib/resize-agent(/backups(/.*)?|/fixes\.json)?"
)
PARENTS = {"/etc", "/etc/ssh", "/etc/ssh/ssh_config.d", "/var/lib", NOVA_HOME}
"""Directories in which something of that was made: their time is a new one."""
RECORDS = "/etc/resize-agent"  # what the test itself hands round


def path_of(line: str) -> str:
    """Of a line of `state`: PATH TAB facts, or DIGEST two blanks PATH."""
    return line.split("\t")[0] if "\t" in line else line.split("  ", 1)[1]


def trusted(host: Host, user: str) -> str:
    """What ssh would look at for this user, and what it takes on trust."""
    done = host.run(["ssh", "-G", "compute2"], user=user)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


def test_nothing_but_what_the_table_names_is_touched_and_nobody_else_trusts_more(
    fleet: Fleet,
) -> None:
    host = fleet["compute1"]
    before, others = state(host, *TREES), [trusted(host, user) for user in ("root", "daemon")]
    novas = trusted(host, "nova")
    runs = converge(fleet)
    assert all(run.status == 0 for run in runs.values()), runs
    paths = {path_of(line) for line in changed(before, state(host, *TREES))}
    surprising = {p for p in paths - PARENTS if not MEANT.fullmatch(p)}
    assert [p for p in sorted(surprising) if not p.startswith(RECORDS)] == []
    assert OUR_KNOWN_HOSTS in paths
    assert [trusted(host, user) for user in ("root", "daemon")] == others
    assert OUR_KNOWN_HOSTS in trusted(host, "nova") and OUR_KNOWN_HOSTS not in novas
