"""Real daemons on real hosts: what they keep saying while hosts break, change and come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.lab.daemons import INTERVAL, LOG, Daemon, daemons, files
from tests.lab.fleet import Fleet
from tests.lab.host import end
from tests.lab.provision import agent, assert_valid, converge, explained

pytestmark = pytest.mark.lab

NAMES = ["compute1", "compute2", "compute3"]
CONFIG = "/etc/resize-agent/conf.d/20-later.yaml"
NOVA_CONF = "/etc/nova/nova.conf"
Daemons = dict[str, Daemon]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(NAMES) as fleet:
        fleet.start_sshd()
        converge(fleet)
        yield fleet


@pytest.fixture(scope="module")
def running(fleet: Fleet) -> Iterator[Daemons]:
    with daemons(list(fleet)) as running:
        for name, daemon in running.items():
            others = [other for other in NAMES if other != name]
            daemon.await_that(
                lambda daemon=daemon, others=others: (
                    {daemon.row(o)["outcome"] for o in others} == {"pass"}
                ),
                "every peer was dialled",
            )
        yield running


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet, running: Daemons) -> Iterator[None]:
    before = request.session.testsfailed
    yield from explained(request, fleet)
    if request.session.testsfailed > before:
        for daemon in running.values():
            print(daemon.host.name, *daemon.log[-30:], *daemon.told[-10:], sep="\n")


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


def test_the_manager_hears_when_it_is_ready_and_how_the_host_is(running: Daemons) -> None:
    one = running["compute1"]
    assert "READY=1" in one.told
    ready = "ready; 2 of 2 peers accept a disk from here; looked at "
    one.await_that(lambda: one.status.startswith(ready), "the host is ready in one line")


def test_the_report_is_whole_valid_and_for_three_intervals(running: Daemons) -> None:
    report = running["compute1"].report
    assert_valid(report)
    assert (report["scope"], report["ready"], report["interrupted"]) == ("full", True, False)
    assert report["interval_seconds"] == INTERVAL
    lasting = moment(report["valid_until"]) - moment(report["taken_at"])
    assert lasting == timedelta(seconds=3 * INTERVAL)


def test_the_report_stays_fresh_and_the_manager_hears_that_the_work_goes_on(
    running: Daemons,
) -> None:
    one = running["compute1"]
    first, signs = one.report["taken_at"], one.told.count("WATCHDOG=1")
    one.await_that(lambda: one.report["taken_at"] > first, "a newer report")
    assert one.told.count("WATCHDOG=1") > signs


def test_state_is_for_everybody_to_read_and_for_root_to_write(running: Daemons) -> None:
    host = running["compute1"].host
    shown = host.sh("stat -c '%a %U %n' /var/lib/resize-agent /var/lib/resize-agent/*.json").stdout
    assert {line.split()[0] for line in shown.splitlines()[1:]} == {"644"}
    assert shown.splitlines()[0] == "755 root /var/lib/resize-agent"
    names = files(host, "/var/lib/resize-agent")
    assert [name for name in names if name.endswith(".new")] == []


def test_a_second_daemon_is_refused(running: Daemons) -> None:
    done = running["compute1"].host.agent("daemon")
    assert done.returncode == 5
    assert "another agent daemon" in done.stderr


def test_a_plain_run_takes_the_rows_it_does_not_dial_from_the_daemon(running: Daemons) -> None:
    host = running["compute1"].host
    host.write("/etc/one.yaml", f"interval: {INTERVAL}\nprobe: {{peers: 1}}\n")
    before = host.read("/var/lib/resize-agent/probes.json")
    run = agent(host, "--config", "/etc/one.yaml")
    assert run.status == 0, run
    assert {row["outcome"] for row in run.rows.values()} == {"pass"}, run
    taken = run.report["taken_at"]
    assert sorted(row["checked_at"] >= taken for row in run.rows.values()) == [False, True], run
    assert len(before) > 100


def test_a_bad_file_is_shown_and_changes_nothing(running: Daemons) -> None:
    one = running["compute1"]
    assert one.report["config"] == {"valid": True, "error": None}
    one.host.write(CONFIG, "probe:\n  peers: many\n")
    one.signal("HUP")
    one.await_that(lambda: not one.report["config"]["valid"], "the report shows the bad file")
    assert one.report["config"]["error"].startswith(f"{CONFIG}:2: probe.peers: ")
    assert one.report["ready"] is True
    one.await_that(
        lambda: f"configuration not reloaded: {CONFIG}:2" in one.status, "the manager hears of it"
    )
    told = [line.split("=")[0] for line in one.told]
    assert told.index("RELOADING") < len(told) - 1 - told[::-1].index("READY")
    one.host.sh(f"rm {CONFIG}")
    one.signal("HUP")
    one.await_that(lambda: one.report["config"]["valid"], "the report shows the good file")
    assert len([line for line in one.log if "the configuration stays as it was" in line]) == 1


def test_a_fault_shows_and_the_fix_is_seen_at_once(running: Daemons) -> None:
    two = running["compute2"]
    fixes = two.report["fixes"]["done"]
    two.host.sh("usermod --shell /usr/sbin/nologin nova")
    two.await_that(lambda: two.report["ready"] is False, "the refusing shell shows")
    assert two.report["roles"] == {"source": {"ready": True}, "destination": {"ready": False}}
    two.await_that(lambda: "shell_refuses_commands" in two.status, "the manager hears the reason")
    fixed = agent(two.host, "--fix")
    assert fixed.applied, fixed
    two.await_that(lambda: two.report["ready"] is True, "the fix is seen")
    assert two.report["fixes"] == {"done": fixes + 1, "failed": 0}
    told = ["compute2 is NOT ready", "compute2 is ready"]
    two.await_that(lambda: verdicts(two)[-2:] == told, "one line for each change, none for a run")


def test_a_share_that_was_there_is_missed_until_somebody_says_that_it_is_gone(
    running: Daemons,
) -> None:
    """Mounted by hand, named by no file and no record: what is left after a reboot is the mount point."""
    two = running["compute2"]
    instances, memory = "/var/lib/nova/instances", "/var/lib/resize-agent/mounted"
    two.host.sh(f"mount -t tmpfs -o mode=755 none {instances}; chown nova: {instances}")
    two.await_that(lambda: two.host.exists(memory), "the daemon has seen it")
    two.host.sh(f"umount {instances}; chown root: {instances}")
    two.await_that(lambda: two.report["ready"] is False, "it is missed")
    fixed = agent(two.host, "--fix")
    assert "share_not_mounted" in fixed.reasons("fail") and not fixed.applied, fixed
    assert f"rm {memory}" in str(fixed.report["checks"])
    two.host.sh(f"rm {memory}; chown nova: {instances}")
    two.await_that(lambda: two.report["ready"] is True, "it is missed no longer")
    assert not two.host.exists(memory)


def verdicts(daemon: Daemon) -> list[str]:
    """What its log said of the host, in order."""
    said = [line.split(": ")[1] for line in daemon.log if f"{daemon.host.name} is " in line]
    return [line.rstrip() for line in said]


def test_a_peer_that_breaks_shows_and_is_not_blamed_on_the_others(running: Daemons) -> None:
    one, three = running["compute1"], running["compute3"]
    # Another test may have left compute2 waiting for its next dial: without one good peer nobody is ready.
    one.await_that(lambda: one.row("compute2")["outcome"] == "pass", "compute2 takes disks")
    three.host.stop_sshd()
    one.await_that(lambda: one.row("compute3")["outcome"] == "fail", "the dead peer shows")
    assert one.row("compute3")["reason"] == "connection_refused"
    one.await_that(lambda: one.report["ready"] is True, "it is ready all the same")
    three.await_that(
        lambda: three.report["roles"]["destination"]["ready"] is False, "its own report says so"
    )
    one.await_that(lambda: "failing: compute3" in one.status, "the manager hears which peer")
    lines = [line for line in one.log if "peer compute3: fail" in line]
    assert len(lines) == 1, one.log
    three.host.start_sshd()
    three.await_that(lambda: three.report["ready"] is True, "it is itself again")


def test_a_killed_daemon_leaves_a_whole_report_and_its_dials(running: Daemons) -> None:
    two = running["compute2"]
    two.await_that(lambda: two.row("compute1")["outcome"] == "pass", "compute1 takes disks")
    two.signal("KILL")
    assert two.ended() != 0
    report, dialled = two.report, two.row("compute1")["checked_at"]
    assert_valid(report)
    two.await_that(
        lambda: moment(report["valid_until"]) < datetime.utcnow(), "its report has expired"
    )
    assert two.report == report, "nobody keeps it fresh"
    two.start()
    two.await_that(lambda: two.report["taken_at"] > report["taken_at"], "a new report")
    assert two.row("compute1")["checked_at"] >= dialled, "the dial was not forgotten"
    assert two.report["ready"] is True


def test_it_ends_when_told_though_a_peer_keeps_it_waiting(running: Daemons) -> None:
    one, three = running["compute1"], running["compute3"]
    three.host.sh("pkill -STOP -o -x sshd")
    try:
        one.host.sh(f"touch {LOG}")
        one.await_that(
            lambda: (
                one.host.run(["pgrep", "-u", "nova", "-f", f"ssh.*{three.host.address}"]).returncode
                == 0
            ),
            "a dial hangs",
        )
        one.signal("TERM")
        assert one.ended() == 0
        assert one.told[-1] == "STATUS=stopping" and "STOPPING=1" in one.told
        assert one.host.run(["pgrep", "-u", "nova", "-x", "ssh"]).returncode == 1
    finally:
        three.host.sh("pkill -CONT -o -x sshd")
    assert_valid(one.report)
    assert one.report["interrupted"] is False


SILENT_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    server.recv(4096)
    print("asked", flush=True)
"""


def test_it_ends_when_told_though_the_name_server_is_silent(running: Daemons) -> None:
    two = running["compute2"]
    before = two.host.read(NOVA_CONF)
    server = two.host.spawn(["/usr/bin/python3", "-c", SILENT_SERVER])
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == b"ready\n"
        # Without the limit of ours a resolver that is told so waits longer than this test has patience.
        silent = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\nsearch a.example b.example\n"
        two.host.write("/etc/resolv.conf", silent)
        two.host.sh(f"sed -i 's/^my_ip *=.*/my_ip = compute2.example.org/' {NOVA_CONF}")
        two.signal("USR1")
        assert server.stdout.readline() == b"asked\n"
        two.signal("TERM")
        assert two.ended() == 0
        assert "STOPPING=1" in two.told
        assert_valid(two.report)
        assert two.report["interrupted"] is False
    finally:
        end(server)
        two.host.write(NOVA_CONF, before)
        two.host.sh("rm -f /etc/resolv.conf")
    last = two.report["taken_at"]
    two.start()
    two.await_that(lambda: two.report["taken_at"] > last, "it is there again")
