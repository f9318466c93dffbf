"""What a dial leaves behind: nothing, on either side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import end
from tests.lab.provision import AUTHORIZED_KEYS, KNOWN_HOSTS, agent, explained, hand_round

pytestmark = pytest.mark.lab

INSTANCES = "/var/lib/nova/instances"
OLD = "7e512ea9-0000-4000-8000-000000000001"
BUSY = "7e512ea9-0000-4000-8000-000000000002"
YOUNG = "7e512ea9-0000-4000-8000-000000000003"
GUEST = "1b6ff4d5-9a0e-4b0a-a6c7-2f0b2b0f6d1e"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        hand_round(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@pytest.mark.parametrize("transport", ["ssh", "rsync"])
def test_nothing_is_left_on_either_host_and_modes_stay(fleet: Fleet, transport: str) -> None:
    for host in fleet:
        host.sh(
            f"printf '[libvirt]\\nremote_filesystem_transport = {transport}\\n' >/etc/nova/nova-compute.conf"
        )
    look = f"find {INSTANCES} /run /tmp /var/tmp -printf '%p %m %U\\n' | grep -vE '^/run/(resize-agent|motd)' | sort"
    before = {host.name: host.sh(look).stdout for host in fleet}
    assert agent(fleet["compute1"]).status == 0
    assert {host.name: host.sh(look).stdout for host in fleet} == before


def test_nothing_is_left_where_a_terminal_is_wanted_and_refused(fleet: Fleet) -> None:
    """ssh gives up at the refusal; the command, sent right behind the request, runs all the same."""
    one, two = fleet
    one.write("/var/lib/nova/.ssh/config", "RequestTTY force\n", owner="nova:nova", mode=0o600)
    keys = two.read(AUTHORIZED_KEYS)
    two.write(AUTHORIZED_KEYS, keys.replace(b"ssh-ed25519", b"restrict ssh-ed25519"))
    try:
        row = agent(one).rows["compute2"]
        left = two.sh(f"ls {INSTANCES}").stdout
    finally:
        one.sh("rm /var/lib/nova/.ssh/config")
        two.write(AUTHORIZED_KEYS, keys)
    assert (row["outcome"], left) == ("fail", ""), row


def test_what_a_killed_prober_left_is_swept_and_nothing_else(fleet: Fleet) -> None:
    host = fleet["compute1"]
    host.sh(
        f"cd {INSTANCES}; mkdir {OLD} {BUSY} {YOUNG} {GUEST}; touch {OLD}/disk {BUSY}/disk {BUSY}/precious"
        f" {YOUNG}/disk {GUEST}/disk; touch -d '2 hours ago' {OLD} {BUSY} {GUEST}",
        user="nova",
    )
    agent(host)
    left = set(host.sh(f"ls {INSTANCES}").stdout.split())
    host.sh(f"cd {INSTANCES}; rm -rf {BUSY} {YOUNG} {GUEST}")
    assert OLD not in left and {BUSY, YOUNG, GUEST} <= left


def test_what_stays_on_a_peer_that_vanished_half_way_is_swept_there(fleet: Fleet) -> None:
    one, two = fleet
    ours = f"ls {INSTANCES} | grep '^7e512ea9-'"
    # The copy's shell, which finds the directory there, calls the watcher and waits for what it does.
    rc = f"if {ours}; then touch /tmp/now; sleep 60; fi >/dev/null\n"
    two.write("/var/lib/nova/.bashrc", rc, owner="nova:nova")
    two.sh("usermod -s /bin/bash nova")
    watcher = two.spawn(
        ["/bin/sh", "-c", "until [ -e /tmp/now ]; do :; done; ip link set eth0 down"]
    )
    try:
        run = agent(one, "--peer-timeout", "5")
        row = run.rows["compute2"]
        assert (row["outcome"], row["stage"]) == ("unknown", "copy"), row
        assert run.status == 3
    finally:
        end(watcher)
        two.sh("ip link set eth0 up; rm -f /tmp/now /var/lib/nova/.bashrc; usermod -s /bin/sh nova")
    [left] = two.sh(ours).stdout.split()
    two.sh(f"touch -d '2 hours ago' {INSTANCES}/{left}")
    agent(two)
    assert two.sh(ours, check=False).stdout == ""


@pytest.mark.parametrize("answer", ["accept-new", "no"])
def test_a_site_that_accepts_any_key_gets_none_written_down_by_a_check(
    fleet: Fleet, answer: str
) -> None:
    host = fleet["compute1"]
    host.write(
        "/var/lib/nova/.ssh/config",
        f"StrictHostKeyChecking {answer}\n",
        mode=0o600,
        owner="nova:nova",
    )
    kept = host.read(KNOWN_HOSTS)
    host.write(KNOWN_HOSTS, b"# empty\n", mode=0o600, owner="nova:nova")
    try:
        run = agent(host)
        assert host.read(KNOWN_HOSTS) == b"# empty\n"
        assert run.rows["compute2"]["outcome"] == "pass", run
    finally:
        host.write(KNOWN_HOSTS, kept, mode=0o600, owner="nova:nova")
        host.sh("rm /var/lib/nova/.ssh/config")


def test_an_sshd_that_listens_on_loopback_alone_is_not_ready(fleet: Fleet) -> None:
    host = fleet["compute2"]
    host.write("/etc/ssh/sshd_config.d/lo.conf", "ListenAddress 127.0.0.1\n", owner=None)
    host.stop_sshd()
    host.start_sshd()
    try:
        assert "sshd_not_running" in agent(host).reasons("fail")
    finally:
        host.sh("rm /etc/ssh/sshd_config.d/lo.conf")
        host.stop_sshd()
        host.start_sshd()


def test_a_link_into_an_unmounted_share_is_no_place_for_disks(fleet: Fleet) -> None:
    host = fleet["compute2"]
    host.sh(
        f"mkdir -p /srv/share/i; chown nova: /srv/share/i; mv {INSTANCES} {INSTANCES}.old; ln -s /srv/share/i {INSTANCES};"
        " echo 'store:/nova /srv/share nfs defaults 0 0' >>/etc/fstab"
    )
    try:
        assert "share_not_mounted" in agent(host).reasons("fail")
    finally:
        host.sh(f"rm {INSTANCES}; mv {INSTANCES}.old {INSTANCES}; : >/etc/fstab")


def test_what_this_host_last_said_of_its_own_disks_is_not_forgotten(fleet: Fleet) -> None:
    """Mounted by hand, told in its record, gone after a reboot: what is left is the mount point, and must stay root's."""
    host, record = fleet["compute2"], "/etc/resize-agent/peers.d/compute2.yaml"
    before = host.read(record)
    host.sh(f"mount -t tmpfs none {INSTANCES}; chown nova: {INSTANCES}")
    host.write(record, host.agent("facts").stdout)
    host.sh(f"umount {INSTANCES}; chown root: {INSTANCES}")
    try:
        run = agent(host, "--fix")
        owner = host.sh(f"stat -c %U {INSTANCES}").stdout.strip()
    finally:
        host.write(record, before)
        host.sh(f"chown nova: {INSTANCES}")
    assert "share_not_mounted" in run.reasons("fail"), run
    assert owner == "root"


@pytest.mark.parametrize("seconds", ["0.001", "0.3"])
def test_what_the_time_did_not_suffice_for_is_not_known_and_no_failure(
    fleet: Fleet, seconds: str
) -> None:
    run = agent(fleet["compute1"], "--timeout", seconds)
    assert run.reasons("fail") == set(), run
    assert run.status == 3 and run.report["ready"] is False, run
