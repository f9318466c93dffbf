"""The lab proves itself: hosts are separate, the judge tells every class, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.lab import oracle, setup_by_hand
from tests.lab.conftest import MakeFleet
from tests.lab.fleet import SOURCE, Fleet
from tests.lab.host import LabError, await_that
from tests.lab.tree import PACKAGED_MY_IP, cache

pytestmark = pytest.mark.lab

INSTANCES = "/var/lib/nova/instances"


@pytest.fixture(scope="module")
def shared() -> Iterator[Fleet]:
    """Two hosts set up by hand; a test that changes them puts it back."""
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        setup_by_hand.shared_key(fleet)
        yield fleet


def namespaces(pid: int) -> set[str]:
    """Those that a process and all its descendants live in."""
    found = _own(pid)
    with suppress(psutil.NoSuchProcess):
        found = found.union(*(_own(c.pid) for c in psutil.Process(pid).children(recursive=True)))
    return found


def _own(pid: int) -> set[str]:
    """A process that is just ending has none any more; the machine's first one may be out of reach."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return {os.readlink(link) for link in Path(f"/proc/{pid}/ns").iterdir()}
    return set()


def assert_gone(own: set[str]) -> None:
    """No process in any of these namespaces, and nothing on the machine that a lab could leave."""
    assert len(own) >= 8, own

    def inhabited() -> set[str]:
        pids = filter(str.isdecimal, os.listdir("/proc"))
        return set().union(*map(_own, map(int, pids)))

    await_that(lambda: not own & inhabited(), "nothing left", lambda: str(own & inhabited()))
    assert str(cache()) not in Path("/proc/mounts").read_text()
    assert not os.listdir(cache() / "mnt")


def test_hosts_are_separate_and_as_debian_ships_them(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("compute1", "compute2")
    one, two = fleet
    passwd = "nova:x:64060:64060::/var/lib/nova:/bin/sh"
    assert passwd in one.read("/etc/passwd").decode().splitlines()
    assert not one.exists("/var/lib/nova/.ssh")
    one.write("/var/lib/nova/mine", "1", owner="nova:nova", mode=0o640)
    assert one.sh("stat -c '%U:%G %a' /var/lib/nova/mine").stdout == "nova:nova 640\n"
    assert not two.exists("/var/lib/nova/mine")
    assert one.sh("hostname; cat /etc/hostname").stdout == "compute1\ncompute1\n"
    assert one.sh("getent hosts compute2").stdout.split() == [two.address, "compute2"]
    key = "/etc/ssh/ssh_host_ed25519_key.pub"
    assert one.read(key) != two.read(key)


def test_nova_has_no_privilege_and_no_terminal(shared: Fleet) -> None:
    host = shared["compute1"]
    assert host.run(["id"], user="nova").stdout.startswith("uid=64060(nova) gid=64060(nova) ")
    status = host.run(["grep", "-E", "^Cap(Prm|Eff|Amb)", "/proc/self/status"], user="nova")
    assert {line.split()[1] for line in status.stdout.splitlines()} == {"0" * 16}
    assert host.run(["sh", "-c", ": </dev/tty"], user="nova").returncode != 0
    assert host.sh("pwd; umask", user="nova").stdout == "/\n0022\n"
    assert set(host.sh("env").stdout.split()) >= {"LANG=C.UTF-8"}
    assert "HOME=" not in host.sh("env").stdout


def test_orphans_are_reaped(shared: Fleet) -> None:
    host = shared["compute1"]
    host.sh("setsid sh -c 'sleep 0.05 & true' & wait")
    await_that(lambda: " Z" not in host.sh("ps -eo pid,stat").stdout, "no zombie", host.log)


def test_a_program_that_hangs_is_ended(shared: Fleet) -> None:
    host = shared["compute1"]
    with pytest.raises(subprocess.TimeoutExpired):
        host.run(["sh", "-c", "sleep 4711 & wait"], timeout=0.3)
    gone = ["pgrep", "-f", "^sleep 4711"]
    await_that(lambda: host.run(gone).returncode == 1, "sleep is gone", host.log)


def test_only_configured_hosts_have_their_own_address(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("compute1", "compute2", configured=False)
    for host in fleet:
        text = host.read("/etc/nova/nova.conf").decode()
        assert f"\nmy_ip = {PACKAGED_MY_IP}\n" in text
        assert "\nhost = " not in text


def test_agent_runs_from_this_tree(shared: Fleet) -> None:
    look = ["python3", "-c", "import agent; print(agent.__file__)"]
    said = shared["compute1"].run(look, env={"PYTHONPATH": "/usr/share/resize-agent"})
    assert said.stdout == "/usr/share/resize-agent/agent/__init__.py\n", said.stderr
    with pytest.raises(LabError, match="Read-only file system"):
        shared["compute1"].write("/usr/share/resize-agent/agent/litter", "")


def test_raw_hosts_do_not_know_each_other(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("compute1", "compute2", "compute3")
    fleet.start_sshd()
    outcome = oracle.migrate(fleet, "compute1", "compute3")
    assert outcome.verdict == "R"
    assert "Host key verification failed" in outcome.message
    assert [(argv[0], code) for argv, code, _ in outcome.trace] == [("ssh", 255), ("ssh", 255)]


@pytest.mark.parametrize("ipv6", [False, True])
def test_three_hosts_set_up_by_hand_all_migrate(make_fleet: MakeFleet, *, ipv6: bool) -> None:
    fleet = make_fleet("compute1", "compute2", "compute3", ipv6=ipv6)
    fleet.start_sshd()
    setup_by_hand.key_per_host(fleet)
    outcomes = oracle.migrate_all(fleet)
    assert len(outcomes) == 6
    assert {outcome.verdict for outcome in outcomes.values()} == {"OK"}, outcomes
    assert all(host.sh(f"ls -A {INSTANCES}").stdout == "" for host in fleet)


def test_shared_key_works_with_rsync(shared: Fleet) -> None:
    outcome = oracle.migrate(shared, "compute1", "compute2", transport="rsync")
    assert (outcome.verdict, outcome.mode_changed) == ("OK", None), outcome
    assert outcome.trace[-1][0][:3] == ("rsync", "-r", "--sparse")


# Fault on the destination, how to undo it, Nova's class, words of the message.
FAULTS = {
    "shell": ("usermod -s /bin/false nova", "usermod -s /bin/bash nova", "R", "Exit code: 1"),
    "umask": (
        "echo umask 077 >/var/lib/nova/.bashrc",
        "rm /var/lib/nova/.bashrc",
        "E-dest",
        "Permission denied",
    ),
    "elsewhere": (
        "install -d -o nova /srv/vm; sed -i '1a instances_path = /srv/vm' /etc/nova/nova.conf",
        "sed -i 2d /etc/nova/nova.conf; rmdir /srv/vm",
        "S",
        "/srv/vm/",
    ),
    "sftp": (
        "sed -i s/^Subsystem/#Subsystem/ /etc/ssh/sshd_config",
        "sed -i s/^#Subsystem/Subsystem/ /etc/ssh/sshd_config",
        "E-off",
        "ProcessExecutionError",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_judge_tells_the_classes_apart(shared: Fleet, fault: str) -> None:
    inject, undo, verdict, words = FAULTS[fault]
    destination = shared["compute2"]
    destination.sh(inject)
    destination.stop_sshd()
    destination.start_sshd()
    try:
        outcome = oracle.migrate(shared, "compute1", "compute2")
    finally:
        destination.sh(undo)
        destination.stop_sshd()
        destination.start_sshd()
    assert outcome.verdict == verdict, outcome
    assert words in outcome.message
    assert all(host.sh(f"ls -A {INSTANCES}").stdout == "" for host in shared)


def test_a_hang_ends_at_the_limit(shared: Fleet) -> None:
    destination = shared["compute2"]
    destination.write("/var/lib/nova/.bashrc", "sleep 4711\n")
    try:
        outcome = oracle.migrate(shared, "compute1", "compute2", timeout=2)
    finally:
        destination.sh("rm /var/lib/nova/.bashrc; pkill sleep")
    assert outcome.verdict == "H"
    assert [(argv[:2], code) for argv, code, _ in outcome.trace] == [(("ssh", "-o"), None)]


def test_mode_that_a_failed_rsync_leaves_is_put_back(shared: Fleet) -> None:
    destination = shared["compute2"]
    # Copies only fail where the name says that it is a disk.
    destination.write("/usr/local/bin/rsync", RSYNC_WITHOUT_DISKS, mode=0o755)
    try:
        outcome = oracle.migrate(shared, "compute1", "compute2", transport="rsync")
    finally:
        destination.sh("rm /usr/local/bin/rsync")
    assert (outcome.verdict, outcome.mode_changed) == ("E-off", ("755", "700")), outcome
    assert destination.sh(f"stat -c %a {INSTANCES}").stdout == "755\n"


RSYNC_WITHOUT_DISKS = """#!/bin/sh
for last; do :; done
case $last in */disk) exit 11 ;; esac
exec /usr/bin/rsync "$@"
"""


def test_hosts_with_one_address_swap_the_disk(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("compute1", "compute2", configured=False)
    fleet.start_sshd()
    setup_by_hand.shared_key(fleet)
    assert oracle.migrate(fleet, "compute1", "compute2").verdict == "S"


def test_nothing_is_left_behind() -> None:
    before = namespaces(os.getpid())
    links = os.listdir("/sys/class/net")
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        own = namespaces(os.getpid()) - before
        assert os.listdir("/sys/class/net") == links
        assert str(cache()) not in Path("/proc/mounts").read_text()
    assert_gone(own)


def test_nothing_is_left_behind_after_an_exception() -> None:
    before = namespaces(os.getpid())
    own: set[str] = set()
    with pytest.raises(ZeroDivisionError), Fleet(["compute1"]) as fleet:
        fleet.start_sshd()
        fleet.nova("compute1")
        own = namespaces(os.getpid()) - before
        raise ZeroDivisionError
    assert_gone(own)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind_when_the_run_is_killed(number: signal.Signals) -> None:
    text = """
from tests.lab.fleet import Fleet
with Fleet(["compute1"]) as fleet:
    fleet.start_sshd()
    print("up", flush=True)
    fleet["compute1"].run(["sleep", "4711"])
"""
    others = namespaces(os.getpid())
    # Whoever starts the tests in the background hands them an ignored SIGINT.
    argv = ["env", "--default-signal=INT", sys.executable, "-c", text]
    with subprocess.Popen(
        argv, cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        own = namespaces(process.pid) - others
        process.send_signal(number)
        process.wait(timeout=20)
    assert_gone(own)


def test_a_broken_nova_conf_is_told_and_not_remembered(shared: Fleet) -> None:
    destination = shared["compute2"]
    destination.sh("sed -i '1i stray words' /etc/nova/nova.conf")
    try:
        outcome = oracle.migrate(shared, "compute1", "compute2")
    finally:
        destination.sh("sed -i 1d /etc/nova/nova.conf")
    assert outcome.verdict == "E-on"
    assert "compute2: nova does not start" in outcome.message
    assert oracle.migrate(shared, "compute1", "compute2").verdict == "OK"
