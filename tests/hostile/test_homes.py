"""nova against root's `agent --fix`: whatever it plants, nothing but its own files is changed, read out or run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.tricks import EVIL, RAN, SECRET, TRICKS, VICTIM, Trick
from tests.lab.fleet import Fleet
from tests.lab.host import SYSLOG, Host
from tests.lab.provision import (
    NOVA_HOME,
    Run,
    agent,
    changed,
    everywhere,
    explained,
    hand_round,
    state,
)

PATIENCE = "60"  # seconds a login may take on a machine that does other things too
pytestmark = pytest.mark.lab

SSH = f"{NOVA_HOME}/.ssh"
# What there is beside nova's own; the agent's own state is looked through for the secret instead.
WATCHED = ("/etc", "/root", "/srv", "/opt", "/home", "/usr/local", "/var/spool", "/boot")
PLANT = f"""
usermod -s /bin/bash nova
mkdir -p {VICTIM} /root/.ssh
echo {SECRET} >{VICTIM}/closed; echo '# {SECRET}-open' >{VICTIM}/open
chmod 600 {VICTIM}/closed; chmod 644 {VICTIM}/open
echo 'canary:{SECRET}:20000:0:99999:7:::' >>/etc/shadow
echo '# {SECRET}' >>/root/.bashrc; chmod 600 /root/.bashrc
ssh-keygen -q -t ed25519 -N '' -C {SECRET} -f /root/.ssh/id_ed25519
printf '#!/bin/sh\\nid -u >>{RAN}\\n' >{EVIL}; chmod 755 {EVIL}; chown nova: {EVIL}
cp -a {NOVA_HOME} /var/lib/kept
"""
# Trees of directories that are too deep for rsync go first.
RESTORE = f"""
lsattr -d {SSH} >/dev/null 2>&1 && chattr -R -f -i {SSH} || true
rm -rf {RAN} {SSH}/d {NOVA_HOME}/instances/x_resize; rsync -a --delete /var/lib/kept/ {NOVA_HOME}/
pkill -u nova -x sleep || true
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Converged, the site wanting host keys in nova's own file: more is written there then."""
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        for host in fleet:
            host.sh("mkdir -p /etc/resize-agent")
            host.write("/etc/resize-agent/agent.yaml", "known_hosts: user\n")
        hand_round(fleet)
        everywhere(fleet, "--fix")
        hand_round(fleet)
        assert all(run.status == 0 for run in everywhere(fleet, "--fix").values())
        fleet["compute1"].sh(PLANT)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.fixture
def host(fleet: Fleet) -> Iterator[Host]:
    yield fleet["compute1"]
    fleet["compute1"].sh(RESTORE)


def play(host: Host, trick: Trick) -> None:
    done = host.run(
        ["sh", "-euc", f"HOME={NOVA_HOME}; cd {SSH}; {trick.script}"],
        user=None if trick.by_root else "nova",
    )
    if trick.by_root and "chattr" in done.stderr:
        pytest.skip(f"this file system knows no immutable files: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


def said_anywhere(host: Host, run: Run) -> str:
    """All that came out: both streams, as JSON and as a diff for people, the log, the agent's own state."""
    dry = host.agent("--fix", "--dry-run", "--diff", "-v")
    assert dry.returncode in (0, 1, 3, 4) and "Traceback" not in dry.stderr, dry
    kept = host.sh("find /var/lib/resize-agent -type f -exec cat {} + 2>/dev/null || true")
    log = host.read(SYSLOG).decode(errors="replace")
    return "\n".join([run.stdout, run.stderr, dry.stdout, dry.stderr, kept.stdout, log])


def uids(host: Host) -> set[str]:
    return set(host.sh(f"cat {RAN} 2>/dev/null || true").stdout.split())


@pytest.mark.parametrize(
    "trick",
    [t if t.ci else pytest.param(t, marks=pytest.mark.slow) for t in TRICKS],
    ids=lambda trick: trick.name,
)
def test_only_novas_own_files_are_at_stake(host: Host, trick: Trick) -> None:
    play(host, trick)
    before = state(host, *WATCHED)
    run = agent(host, "--fix", "--peer-timeout", PATIENCE if trick.runs else "5")
    said = said_anywhere(host, run)
    assert changed(before, state(host, *WATCHED)) == [], run
    assert run.status in (0, 1, 3) and "Traceback" not in run.stderr, run
    print(trick.name, run.status, sorted(run.reasons()), run.applied)
    repaired = [step for step in run.applied if step[2] == "done"]
    reported = not trick.reasons or "" in trick.reasons or run.reasons() & set(trick.reasons)
    assert reported or repaired, run
    assert SECRET not in said.replace(f"{SECRET}-open", "")
    assert uids(host) == ({host.sh("id -u nova").stdout.strip()} if trick.runs else set())
    assert "rc-" in trick.name or host.run(["pgrep", "-u", "nova", "-x", "sleep"]).returncode == 1
