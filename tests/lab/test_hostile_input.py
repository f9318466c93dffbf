"""Records and files that are broken or meant ill: named in the report, never written, no obstacle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import Host
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    OUR_KNOWN_HOSTS,
    PEERS,
    agent,
    changed,
    converge,
    explained,
    put_record,
    state,
    strangers_key,
    trust_of,
)

pytestmark = pytest.mark.lab


EVIL = strangers_key("evil")
SECOND = strangers_key("smuggled")


def text(**changes: str) -> str:
    """A record of `evil` that would be believed, but for what is changed (whole YAML values)."""
    values = {
        "schema": "1",
        "name": "evil",
        "address": "10.100.0.66",
        "names": "[evil.example.org]",
        "port": "22",
        "host_keys": f'["{EVIL}"]',
        "user_keys": f'["{EVIL} nova@evil"]',
        "nova": "{user: nova, uid: 64060, instances_path: /var/lib/nova/instances}",
        "state": "present",
        **changes,
    }
    return "".join(f"{name}: {value}\n" for name, value in values.items())


@dataclass(frozen=True)
class Bad:
    """A record that must be refused with `reason`, and words that may never come to be trusted."""

    record: str
    reason: str = "record_invalid"
    poison: tuple[str, ...] = (EVIL, "evil", "10.100.0.66")


RECORDS = {
    "not-yaml": Bad("schema: 1\nname: [evil\n"),
    "not-a-mapping": Bad("- schema: 1\n"),
    "binary": Bad("\x00\x01\x02 schema"),
    "alias-bomb": Bad("a: &a [x, x]\nb: &b [*a, *a]\nname: evil\n"),
    "python-object": Bad(text(name="!!python/object/apply:os.system ['touch /root/owned']")),
    "deep": Bad("[" * 5000),
    "huge": Bad(text() + "#" * (10 << 20)),
    "no-address": Bad(text(address="null")),
    "loopback": Bad(text(address="127.0.0.1"), poison=(EVIL,)),
    "loopback-name": Bad(text(names="[localhost]"), poison=(EVIL,)),
    "unspecified": Bad(text(address='"::"'), poison=(EVIL,)),
    "wildcard": Bad(text(names='["*"]'), poison=(EVIL,)),
    "wildcard-address": Bad(text(address='"10.100.0.*"'), poison=(EVIL, "10.100.0.*")),
    "negated": Bad(text(names='["!compute2"]'), poison=(EVIL, "!compute2")),
    "comma": Bad(text(names='["a,compute2"]'), poison=(EVIL, "a,compute2")),
    "blank": Bad(text(names='["a b"]'), poison=(EVIL,)),
    "newline-in-name": Bad(text(names='["a\\nb"]'), poison=(EVIL,)),
    "option-as-address": Bad(text(address='"-oProxyCommand=touch /root/owned"'), poison=(EVIL,)),
    "two-host-keys-in-one": Bad(text(host_keys=f'["{EVIL}\\n* {SECOND}"]'), poison=(EVIL, SECOND)),
    "two-user-keys-in-one": Bad(text(user_keys=f'["{EVIL}\\n{SECOND}"]'), poison=(EVIL, SECOND)),
    "carriage-return-in-key": Bad(text(user_keys=f'["{EVIL}\\r{SECOND}"]'), poison=(EVIL, SECOND)),
    "command-option": Bad(
        text(user_keys=f"['command=\"touch /root/owned\" {EVIL}']"), poison=(EVIL, "/root/owned")
    ),
    "marker-in-host-key": Bad(text(host_keys=f'["@cert-authority * {EVIL}"]'), poison=(EVIL, "@")),
    "key-type-differs": Bad(
        text(user_keys=f'["ssh-rsa {EVIL.split()[1]}"]'), poison=(EVIL.split()[1],)
    ),
    "other-files-name": Bad(text(name="compute7"), poison=(EVIL, "compute7")),
    "newer-schema": Bad(text(schema="2"), "record_newer"),
    "own-name": Bad(text(names="[compute1]"), "record_conflict", (EVIL,)),
    "own-address": Bad(text(address="10.100.0.31"), "record_conflict", (EVIL,)),
    "too-many-keys": Bad(text(user_keys="[" + ", ".join([f'"{EVIL}"'] * 5) + "]")),
    "path-with-newline": Bad(text(nova='{instances_path: "/srv\\n/x"}')),
}
IN_CI = ("not-yaml", "huge", "comma", "two-host-keys-in-one", "command-option", "own-name")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        converge(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.fixture
def host(fleet: Fleet) -> Iterator[Host]:
    """The one that gets the bad records; it has only its own and compute2's again afterwards."""
    host = fleet["compute1"]
    kept = {name: host.read(f"{PEERS}/{name}.yaml") for name in ("compute1", "compute2")}
    yield host
    host.sh(f"rm -rf {PEERS}/*")
    for name, record in kept.items():
        put_record(host, name, record)


@pytest.mark.parametrize(
    "name",
    [n if n in IN_CI else pytest.param(n, marks=pytest.mark.slow) for n in RECORDS],
)
def test_a_bad_record_is_named_and_nothing_of_it_is_trusted(host: Host, name: str) -> None:
    bad = RECORDS[name]
    put_record(host, "evil", bad.record)
    run = agent(host, "--fix")
    assert (run.status, run.stderr) == (0, ""), run
    found = run.about(bad.reason)
    assert found and {finding["outcome"] for finding in found} == {"warn"}, run
    assert all(f"{PEERS}/evil.yaml" in f["subject"] + f["message"] for f in found), run
    assert [word for word in bad.poison if word.encode() in trust_of(host)] == [], run
    assert run.rows["compute2"]["outcome"] == "pass", run
    assert not host.exists("/root/owned"), run


def test_a_broken_record_is_named_with_its_file_and_line(host: Host) -> None:
    put_record(host, "evil", text(names='["a,b"]'))
    run = agent(host)
    assert [f["subject"] for f in run.about("record_invalid")] == [f"{PEERS}/evil.yaml:4"], run
    # The operator reads this one.
    assert f"{PEERS}/evil.yaml:4" in host.agent("--no-probe").stdout, run


def test_two_records_for_one_address_are_both_left_out(host: Host) -> None:
    put_record(host, "evil", text())
    put_record(host, "twin", text(name="twin", names="[]", user_keys=f'["{SECOND}"]'))
    run = agent(host, "--fix")
    assert run.status == 0, run
    said = " ".join(f["subject"] + f["message"] for f in run.about("record_conflict"))
    assert f"{PEERS}/evil.yaml" in said and f"{PEERS}/twin.yaml" in said, run
    trusted = trust_of(host)
    assert EVIL.encode() not in trusted and SECOND.encode() not in trusted, run
    assert run.rows["compute2"]["outcome"] == "pass", run


def test_two_files_that_speak_for_one_name_are_both_named(host: Host) -> None:
    before = state(host, OUR_KNOWN_HOSTS, AUTHORIZED_KEYS)
    put_record(host, "COMPUTE2", text(name="compute2"))
    run = agent(host, "--fix")
    said = " ".join(f["subject"] + f["message"] for f in run.about("record_conflict"))
    assert f"{PEERS}/COMPUTE2.yaml" in said and f"{PEERS}/compute2.yaml" in said, run
    assert changed(before, state(host, OUR_KNOWN_HOSTS, AUTHORIZED_KEYS)) == [], run
    assert EVIL.encode() not in trust_of(host), run


def test_a_second_record_for_a_known_peer_changes_no_trust(host: Host) -> None:
    """What is trusted already stays; what the newcomer says is not believed."""
    before = state(host, OUR_KNOWN_HOSTS, AUTHORIZED_KEYS)
    put_record(host, "evil", text(address="10.100.0.32"))
    run = agent(host, "--fix")
    said = " ".join(f["subject"] + f["message"] for f in run.about("record_conflict"))
    assert f"{PEERS}/evil.yaml" in said and f"{PEERS}/compute2.yaml" in said, run
    assert (run.applied, changed(before, state(host, OUR_KNOWN_HOSTS, AUTHORIZED_KEYS))) == (
        [],
        [],
    ), run


def test_a_tombstone_of_this_host_in_its_own_name_is_only_a_warning(host: Host) -> None:
    before = state(host, OUR_KNOWN_HOSTS, AUTHORIZED_KEYS)
    put_record(host, "compute1", "schema: 1\nname: compute1\nstate: absent\n")
    run = agent(host, "--fix")
    assert (run.status, run.applied) == (0, []), run
    assert "record_stale" in run.reasons("warn"), run
    assert state(host, OUR_KNOWN_HOSTS, AUTHORIZED_KEYS) == before, run


@pytest.mark.parametrize("kind", ["mkdir", "mkfifo", "ln -s /dev/zero", "ln -s /nowhere"])
def test_what_is_no_regular_file_is_no_record(host: Host, kind: str) -> None:
    host.sh(f"{kind} {PEERS}/evil.yaml")
    run = agent(host, "--fix")
    assert (run.status, run.stderr) == (0, ""), run
    assert [f["peer"] for f in run.about("record_invalid")] == ["evil"], run
    assert run.rows["compute2"]["outcome"] == "pass", run


def test_a_record_may_be_a_link(host: Host) -> None:
    """As in a mounted ConfigMap: the directory is root's own."""
    host.sh(f"mv {PEERS}/compute2.yaml /root/two; ln -s /root/two {PEERS}/compute2.yaml")
    run = agent(host)
    assert (run.status, run.reasons()) == (0, set()), run
    assert run.rows["compute2"]["outcome"] == "pass", run


def test_conflicting_records_are_not_called_missing(host: Host) -> None:
    put_record(host, "evil", text(address="10.100.0.32"))
    assert "no_peers" not in agent(host).reasons()
