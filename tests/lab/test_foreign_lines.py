"""What others wrote in nova's known_hosts and authorized_keys is still there after `--fix`, byte for byte."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.lab import oracle
from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    KNOWN_HOSTS,
    NOVA_HOME,
    Run,
    changed,
    converge,
    everywhere,
    explained,
    on_each,
    pairs_moved,
    pairs_ready,
    state,
    strangers_key,
)

pytestmark = pytest.mark.lab

IN_NOVAS_FILE = "compute2"
"""The host whose site wants host keys in nova's own known_hosts; the other has the default."""
NAMES = ("compute1", IN_NOVAS_FILE)


def key(owner: str) -> bytes:
    return strangers_key(owner).encode()


HASHED = b"|1|" + base64.b64encode(b"s" * 20) + b"|" + base64.b64encode(b"h" * 20)
FOREIGN_KNOWN_HOSTS = b"\n".join(
    [
        b"# kept by hand since 2019",
        b"git.example.org,192.0.2.7 " + key("git") + b" a comment  with blanks",
        HASHED + b" " + key("hashed"),
        b"",
        b" \t ",
        b"@cert-authority *.example.org " + key("authority"),
        b"@revoked * " + key("lost"),
        b"this is no line of known_hosts",
        b"broken.example.org ssh-ed25519 AAAA====",
        b"latin1.example.org \xe9\xff\x00 " + key("binary"),
        # The hosts' own addresses with keys of long ago: ssh takes any line that is right.
        b"10.100.0.31,10.100.0.32 " + key("before the reinstallation"),
        b"windows.example.org " + key("windows") + b"\r",
        b"",
        b"last.example.org " + key("last"),
    ]
)
FOREIGN_AUTHORIZED_KEYS = b"\n".join(
    [
        b"# operators",
        key("alice") + b" alice@example.org",
        b'from="192.0.2.0/24",command="/bin/echo \\"no\\"",no-pty ' + key("bob") + b" bob",
        b"",
        b"\t",
        b"this is no line of authorized_keys",
        b'command="unterminated ssh-ed25519 AAAA x',
        b"# \xe9\xff caf\xe9",
        key("windows") + b" windows@example.org\r",
        b"   " + key("indented") + b" indented",
        key("tail") + b" tail@example.org",
    ]
)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(NAMES) as fleet:
        fleet.start_sshd()
        on_each(fleet, _litter)
        fleet[IN_NOVAS_FILE].sh("mkdir -p /etc/resize-agent")
        fleet[IN_NOVAS_FILE].write("/etc/resize-agent/agent.yaml", "known_hosts: user\n")
        yield fleet


def _litter(host: Host) -> None:
    host.sh(f"install -d -m 700 -o nova -g nova {NOVA_HOME}/.ssh")
    host.write(KNOWN_HOSTS, FOREIGN_KNOWN_HOSTS, mode=0o640, owner="nova:nova")
    host.write(AUTHORIZED_KEYS, FOREIGN_AUTHORIZED_KEYS, mode=0o640, owner="nova:nova")


@pytest.fixture(scope="module")
def fixed(fleet: Fleet) -> dict[str, Run]:
    return converge(fleet)


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.mark.parametrize("name", NAMES)
def test_a_fix_succeeds_in_spite_of_them(fixed: dict[str, Run], name: str) -> None:
    assert fixed[name].status == 0, fixed[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("path", "foreign"),
    [(KNOWN_HOSTS, FOREIGN_KNOWN_HOSTS), (AUTHORIZED_KEYS, FOREIGN_AUTHORIZED_KEYS)],
    ids=["known_hosts", "authorized_keys"],
)
def test_every_foreign_byte_stays_where_it_was(
    fleet: Fleet, fixed: dict[str, Run], name: str, path: str, foreign: bytes
) -> None:
    after = fleet[name].read(path)
    assert after.startswith(foreign), fixed[name]
    # The last line had no newline: what is added must not become a part of it.
    assert after[len(foreign) :][:1] in (b"", b"\n"), fixed[name]
    assert fleet[name].sh(f"stat -c '%U:%G %a' {path}").stdout == "nova:nova 640\n", fixed[name]


def test_the_default_leaves_novas_known_hosts_alone(fleet: Fleet, fixed: dict[str, Run]) -> None:
    assert fleet["compute1"].read(KNOWN_HOSTS) == FOREIGN_KNOWN_HOSTS, fixed["compute1"]


def test_the_site_may_want_host_keys_in_novas_own_file(fleet: Fleet, fixed: dict[str, Run]) -> None:
    host = fleet[IN_NOVAS_FILE]
    added = host.read(KNOWN_HOSTS)[len(FOREIGN_KNOWN_HOSTS) :]
    assert fleet["compute1"].address.encode() in added, fixed[IN_NOVAS_FILE]
    assert not host.exists("/etc/ssh/ssh_known_hosts.nova"), fixed[IN_NOVAS_FILE]


@pytest.mark.parametrize("name", NAMES)
def test_malformed_lines_are_reported_and_only_that(fixed: dict[str, Run], name: str) -> None:
    found = fixed[name].about("malformed_line")
    assert {finding["check"] for finding in found} >= {"authorized_keys"}, fixed[name]
    assert {finding["outcome"] for finding in found} == {"warn"}, fixed[name]


def test_nova_agrees_that_it_works(fleet: Fleet, fixed: dict[str, Run]) -> None:
    runs = everywhere(fleet)
    outcomes = oracle.migrate_all(fleet)
    assert {outcome.verdict for outcome in outcomes.values()} == {"OK"}, (outcomes, fixed)
    assert pairs_ready(runs) == pairs_moved(outcomes), runs


@pytest.mark.parametrize("name", NAMES)
def test_a_second_fix_changes_nothing(fleet: Fleet, fixed: dict[str, Run], name: str) -> None:
    before = state(fleet[name], "/etc", NOVA_HOME)
    run = everywhere(fleet, "--fix")[name]
    assert run.applied == [], (run, fixed[name])
    assert changed(before, state(fleet[name], "/etc", NOVA_HOME)) == [], run
