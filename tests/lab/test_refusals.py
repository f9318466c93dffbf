"""Runs that cannot or may not do their work end with the status that says so, and with no traceback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host, Result, await_that
from tests.lab.provision import (
    NOVA_HOME,
    agent,
    assert_valid,
    changed,
    converge,
    explained,
    state,
)

pytestmark = pytest.mark.lab

CONFIG = "/etc/resize-agent/agent.yaml"
NOVA_CONF = "/etc/nova/nova.conf"
TREES = ("/etc", NOVA_HOME, "/root")
KEPT = "/var/tmp/etc"
CONFIG_DROP_INS = "/etc/resize-agent/conf.d"


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
    """Ready at the beginning; its /etc is put back afterwards."""
    host = fleet["compute1"]
    host.sh(f"rm -rf {KEPT}; cp -a /etc {KEPT}")
    yield host
    host.sh(f"rm -rf {NOVA_CONF} {CONFIG} {CONFIG_DROP_INS}")
    host.sh(f"cp -a --remove-destination {KEPT}/. /etc/")


def assert_told(said: Result, status: int, *words: str) -> None:
    """On stderr, nothing on stdout, and no inside of the program."""
    assert (said.returncode, said.stdout) == (status, ""), said
    assert "Traceback" not in said.stderr, said
    assert [word for word in words if word not in said.stderr] == [], said


@pytest.mark.parametrize("arguments", [(), ("--fix",), ("facts",), ("config", "check")])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("user: nova\ninterval: [60\n", (f"{CONFIG}:3",), id="malformed"),
        pytest.param("user: nova\nshall: /bin/sh\n", (f"{CONFIG}:2", "shall"), id="unknown-key"),
        pytest.param("probe:\n  peers: many\n", (f"{CONFIG}:2", "probe.peers"), id="value"),
        pytest.param("user: nova\nuser: nova\n", (f"{CONFIG}:2", "user"), id="twice"),
    ],
)
def test_a_broken_configuration_ends_with_2_and_names_file_line_and_key(
    host: Host, text: str, words: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    host.write(CONFIG, text)
    before = state(host, *TREES)
    assert_told(host.agent(*arguments), 2, *words)
    assert changed(before, state(host, *TREES)) == []


def test_a_broken_drop_in_is_named_too(host: Host) -> None:
    host.sh(f"mkdir -p {CONFIG_DROP_INS}")
    host.write(f"{CONFIG_DROP_INS}/10-site.yaml", "shall: /bin/sh\n")
    assert_told(host.agent(), 2, f"{CONFIG_DROP_INS}/10-site.yaml:1", "shall")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--only", "bogus"),
        ("--skip", "bogus"),
        ("--peer", "bogus"),
        ("--no-such-option",),
        ("--dry-run",),
        ("--timeout", "nan"),
        ("--config", "/etc/no-such-file"),
        ("--root", "/no/such/directory"),
    ],
)
def test_wrong_usage_ends_with_2(host: Host, arguments: tuple[str, ...]) -> None:
    assert_told(host.agent(*arguments), 2, arguments[-1].lstrip("-"))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("rm {0}", id="missing"),
        pytest.param("sed -i '1i stray words' {0}", id="syntax"),
        pytest.param("rm {0}; mkdir {0}", id="directory"),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("--fix",)], ids=["check", "fix"])
def test_an_unreadable_nova_conf_is_cannot_tell(
    host: Host, fault: str, arguments: tuple[str, ...]
) -> None:
    host.sh(fault.format(NOVA_CONF))
    run = agent(host, *arguments)
    assert (run.status, run.stderr) == (3, ""), run
    found = run.about("nova_conf_unreadable")
    assert found and all(NOVA_CONF in f["subject"] + f["message"] for f in found), run
    assert run.report["ready"] is False, run
    assert run.applied == [], run


def test_a_peer_that_cannot_be_dialled_is_unknown_for_the_true_reason(host: Host) -> None:
    host.sh(f"rm {NOVA_CONF}")
    run = agent(host)
    assert run.report["interrupted"] is False, run
    assert {row["outcome"] for row in run.rows.values()} == {"unknown"}, run
    assert {row["reason"] for row in run.rows.values()} == {"nova_conf_unreadable"}, run


def test_facts_that_cannot_be_known_are_not_told(host: Host) -> None:
    host.sh(f"rm {NOVA_CONF}")
    assert_told(host.agent("facts"), 3, NOVA_CONF)


def test_no_nova_user_is_not_ready_and_none_is_made(host: Host) -> None:
    host.sh("sed -i /^nova:/d /etc/passwd /etc/shadow")
    before = state(host, *TREES)
    checked, fixed = agent(host), agent(host, "--fix")
    for run in (checked, fixed):
        assert (run.status, run.stderr) == (1, ""), run
        assert "no_nova_user" in run.reasons("fail"), run
        assert_valid(run.report)
    assert fixed.applied == [], fixed
    assert changed(before, state(host, *TREES)) == [], fixed


@pytest.mark.parametrize("user", ["nova", "daemon"])
def test_without_root_the_check_cannot_tell_and_the_fix_is_refused(host: Host, user: str) -> None:
    run = agent(host, user=user)
    assert (run.status, run.stderr) == (3, ""), run
    assert "needs_root" in run.reasons("unknown"), run
    assert run.reasons("fail") == set(), run
    assert_told(host.agent("--fix", user=user), 2, "root")


def test_what_only_root_may_see_is_not_called_broken(host: Host) -> None:
    """nova.conf has mode 0640: a stranger cannot read it, and that is no fault of the host."""
    run = agent(host, user="daemon")
    assert run.reasons() == {"needs_root"}, run


def test_a_second_fix_at_the_same_time_is_refused(host: Host) -> None:
    holder = host.spawn(["flock", "/run/lock/resize-agent.lock", "cat"], stdin=subprocess.PIPE)
    try:
        held = ["flock", "-n", "/run/lock/resize-agent.lock", "true"]
        await_that(lambda: host.run(held).returncode == 1, "the lock is held", host.log)
        assert_told(host.agent("--fix"), 5, "/run/lock/resize-agent.lock")
        assert agent(host).status == 0
    finally:
        holder.communicate(b"")


@pytest.mark.parametrize(("signal", "status"), [("INT", 130), ("TERM", 143)])
@pytest.mark.parametrize("arguments", [(), ("--fix",)], ids=["check", "fix"])
def test_an_interrupted_run_prints_what_it_found(
    fleet: Fleet, host: Host, signal: str, status: int, arguments: tuple[str, ...]
) -> None:
    """The peer takes the connection and never says a word."""
    peer = fleet["compute2"]
    peer.sh("pkill -STOP -x sshd")
    argv = ["/usr/bin/python3", "-m", "agent", *arguments, "--format", "json"]
    try:
        run = host.spawn(argv, env={"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"})
        dialling = ["pgrep", "-u", "nova", "-f", f"^ssh .*{peer.address}"]
        await_that(lambda: host.run(dialling).returncode == 0, "it dials", host.log)
        host.sh(f"pkill -{signal} -f '^/usr/bin/python3 -m agent'")
        out, err = run.communicate(timeout=15)
    finally:
        peer.sh("pkill -CONT -x sshd")
    assert (run.returncode, err) == (status, b""), (out, err)
    report = json.loads(out)
    assert_valid(report)
    assert report["interrupted"] is True, report
    assert report["peers"][0]["outcome"] == "unknown", report
    assert host.run(dialling).returncode == 1, "it left its ssh behind"
    assert host.sh("ls -A /var/lib/nova/instances /tmp").stdout.split() == [
        "/tmp:",
        "/var/lib/nova/instances:",
    ]


def test_a_reader_that_goes_away_is_no_crash(host: Host) -> None:
    script = f"PYTHONPATH={AGENT_HOME} python3 -m agent --format json --no-probe | true"
    assert "Traceback" not in host.sh(script, check=False).stderr
