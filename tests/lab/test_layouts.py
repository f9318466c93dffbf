"""Hosts as deployers lay them out: the agent's word and what Nova, run where it runs there, made of the same pair."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import edpm, kolla, oracle, rdo
from tests.lab.fleet import Fleet
from tests.lab.provision import Run, agent, everywhere, hand_round, pair_ready

pytestmark = pytest.mark.lab

NAMES = ["compute1", "compute2"]
PAIR = ("compute1", "compute2")


@dataclass(frozen=True)
class Deployed:
    """`judge` is the fleet as Nova sees it: of containers those that nova-compute lives in."""

    fleet: Fleet
    judge: Any
    nodes: dict[str, kolla.Node]


@pytest.fixture(scope="module")
def containers() -> Iterator[Deployed]:
    with Fleet(NAMES) as fleet, ExitStack() as stack:
        nodes = kolla.deploy(fleet, stack)
        hand_round(fleet)
        yield Deployed(fleet, kolla.novas(nodes, stack), nodes)
        print(fleet.diagnose())


@pytest.fixture(scope="module")
def separate() -> Iterator[Deployed]:
    with Fleet(NAMES) as fleet:
        rdo.deploy(fleet)
        hand_round(fleet)
        yield Deployed(fleet, fleet, {})
        print(fleet.diagnose())


@pytest.fixture(scope="module")
def mixed() -> Iterator[Deployed]:
    with Fleet(NAMES) as fleet, ExitStack() as stack:
        nodes = edpm.deploy(fleet, stack)
        hand_round(fleet)
        yield Deployed(fleet, kolla.novas(nodes, stack), nodes)
        print(fleet.diagnose())


def agrees(deployed: Deployed, profile: str) -> tuple[bool, str, dict[str, Run]]:
    """The pair's word of both, which must be one, and the runs."""
    runs = everywhere(deployed.fleet)
    outcome = oracle.migrate(deployed.judge, *PAIR)
    for run in runs.values():
        (told,) = [f for f in run.findings if f["check"] == "layout"]
        assert told["outcome"] == "pass" and told["message"].startswith(f"{profile}: "), run
    ready = pair_ready(runs["compute1"], runs["compute2"])
    assert ready == (outcome.verdict == "OK"), (outcome, runs)
    return ready, outcome.verdict, runs


RESTART = "pkill -x sshd; while pgrep -x sshd; do :; done; {} /usr/sbin/sshd"
NO_SFTP = "sed -i 's/^Subsystem/#Subsystem/' /etc/ssh/sshd_config; " + RESTART.format("")
SFTP = "sed -i 's/^#Subsystem/Subsystem/' /etc/ssh/sshd_config; " + RESTART.format("")
OWN_VOLUME = (
    "mkdir /tmp/v; cp -a /var/lib/nova/.ssh /tmp/v; mkdir /tmp/v/instances; chown -R nova: /tmp/v;"
    " mount --bind /tmp/v /var/lib/nova"
)


@pytest.mark.slow
def test_one_host_of_kolla_s_and_what_its_login_refuses() -> None:
    """No peer and not Nova's word, but seconds."""
    with Fleet(NAMES[:1]) as fleet, ExitStack() as stack:
        node = kolla.deploy(fleet, stack)["compute1"]
        good = agent(node.host)
        node.ssh.sh("usermod --shell /usr/sbin/nologin nova")
        bad = agent(node.host)

    (told,) = [f for f in good.findings if f["check"] == "layout"]
    assert told["message"].startswith("kolla: "), good
    dialled = [f for f in good.findings if f["check"] == "self_dial"]
    assert [f["outcome"] for f in dialled] == ["pass"] and "8022" in dialled[0]["subject"], good
    assert good.report["roles"] == {"source": {"ready": True}, "destination": {"ready": True}}, good
    assert bad.report["roles"] == {"source": {"ready": True}, "destination": {"ready": False}}, bad
    assert "shell_refuses_commands" in bad.reasons("fail") and bad.steps == [], bad


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "fault", "undo", "verdict", "reason"),
    [
        ("ssh", "true", "true", "OK", ""),
        (
            "ssh",
            "usermod --shell /usr/sbin/nologin nova",
            "usermod --shell /bin/bash nova",
            "R",
            "shell_refuses_commands",
        ),
        ("ssh", NO_SFTP, SFTP, "E-off", "sftp_missing"),
        ("ssh", OWN_VOLUME, "umount /var/lib/nova", "S", "instances_elsewhere"),
        (
            "ssh",
            "pkill -x sshd; while pgrep -x sshd; do :; done",
            "/usr/sbin/sshd",
            "R",
            "sshd_not_running",
        ),
        (
            "compute",
            "mv /var/lib/nova/.ssh/authorized_keys /var/lib/nova/.ssh/gone",
            "mv /var/lib/nova/.ssh/gone /var/lib/nova/.ssh/authorized_keys",
            "R",
            "no_key_accepted",
        ),
    ],
    ids=["as-deployed", "nologin", "no-sftp", "own-volume", "no-sshd", "no-keys"],
)
def test_kolla(
    containers: Deployed, place: str, fault: str, undo: str, verdict: str, reason: str
) -> None:
    where = getattr(containers.nodes["compute2"], place)
    where.sh(fault)
    try:
        ready, said, runs = agrees(containers, "kolla")
    finally:
        where.sh(undo)

    assert said == verdict, runs
    assert ready or reason in runs["compute2"].reasons("fail"), runs["compute2"]
    assert all(run.steps == [] for run in runs.values()), "what Kolla owns is not rewritten"


@pytest.mark.slow
def test_the_dial_has_the_configuration_of_nova_compute_s_container(containers: Deployed) -> None:
    """A fault of the source's: without its configuration ssh dials port 22, where nobody listens."""
    compute = containers.nodes["compute1"].compute
    compute.sh("mv /var/lib/nova/.ssh/config /var/lib/nova/.ssh/gone")
    try:
        ready, said, runs = agrees(containers, "kolla")
    finally:
        compute.sh("mv /var/lib/nova/.ssh/gone /var/lib/nova/.ssh/config")

    assert (ready, said) == (False, "R")
    assert runs["compute1"].rows["compute2"]["outcome"] == "fail", runs["compute1"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("nova_compute", 0), ("nobody", 3)])
def test_the_engine_may_be_asked_to_start_nova_s_lines(
    containers: Deployed, name: str, status: int
) -> None:
    host = containers.fleet["compute1"]
    host.write("/usr/bin/docker", kolla.ENGINE, mode=0o755)
    host.write("/etc/resize-agent/agent.yaml", f"client: {{run: exec, container: {name}}}\n")
    try:
        run = everywhere(containers.fleet)["compute1"]
    finally:
        host.sh("rm /usr/bin/docker /etc/resize-agent/agent.yaml")

    assert run.status == status, run
    if status == 0:
        started = host.read("/run/engine.log").decode()
        assert " scp " in started and " ssh -v " in started
    else:
        assert run.rows["compute2"]["outcome"] == "unknown", run


@pytest.mark.slow
def test_fix_changes_nothing_that_kolla_owns(containers: Deployed) -> None:
    host = containers.fleet["compute1"]

    done = host.agent("--fix", "--dry-run")

    assert done.returncode == 0 and "Nothing to do" in done.stdout, done


@pytest.mark.slow
def test_fix_repairs_in_the_volume_where_it_is_told_to(containers: Deployed) -> None:
    """Keys that a volume has lost: the host below has no such file and gets none."""
    keys, host = "/var/lib/nova/.ssh/authorized_keys", containers.fleet["compute2"]
    compute = containers.nodes["compute2"].compute
    compute.sh(f"mv {keys} {keys}.gone")
    host.write("/etc/resize-agent/agent.yaml", "deployer_files: repair\n")
    try:
        done = host.agent("--fix")
        good = agrees(containers, "kolla")
        written = compute.sh(f"stat -c '%U %a' {keys}; grep -c restrict {keys}").stdout.split()
    finally:
        compute.sh(f"mv {keys}.gone {keys}")
        host.sh("rm /etc/resize-agent/agent.yaml")

    assert good[:2] == (True, "OK"), (done, good)
    assert written[:2] == ["nova", "600"] and int(written[2]) > 0
    assert not host.exists("/var/lib/nova")


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["profile: package", "profile: rdo"])
def test_a_nova_compute_in_a_container_is_never_judged_by_the_host(
    containers: Deployed, setting: str
) -> None:
    host = containers.fleet["compute1"]
    host.write("/etc/resize-agent/agent.yaml", setting)
    try:
        run = everywhere(containers.fleet)["compute1"]
    finally:
        host.sh("rm /etc/resize-agent/agent.yaml")

    assert run.status == 3 and run.report["ready"] is False, run
    assert run.reasons("unknown") >= {"layout_unclear"}
    assert run.reasons("fail") == set() and run.steps == [], run


@pytest.mark.slow
def test_a_layout_that_nobody_knows_is_unknown(containers: Deployed) -> None:
    host = containers.fleet["compute1"]
    host.sh("mv /etc/kolla /etc/kolla.gone")
    try:
        run = everywhere(containers.fleet)["compute1"]
        shown = host.agent("config", "show").stdout
    finally:
        host.sh("mv /etc/kolla.gone /etc/kolla")

    assert run.status == 3 and "layout_unclear" in run.reasons("unknown"), run
    assert "set profile to custom" in shown


@pytest.mark.slow
def test_custom_says_where_each_side_lives(containers: Deployed) -> None:
    """The same hosts without a trace of Kolla, as OpenStack-Helm lays them out."""
    text = "profile: custom\nclient: {run: nsenter}\nserver: {run: nsenter, port: 8022}\n"
    for host in containers.fleet:
        host.sh("mv /etc/kolla /etc/kolla.gone")
        host.write("/etc/resize-agent/agent.yaml", text)
    ssh = containers.nodes["compute2"].ssh
    try:
        good = agrees(containers, "custom")
        ssh.sh("usermod --shell /bin/false nova")
        bad = agrees(containers, "custom")
    finally:
        ssh.sh("usermod --shell /bin/bash nova")
        for host in containers.fleet:
            host.sh("mv /etc/kolla.gone /etc/kolla; rm /etc/resize-agent/agent.yaml")

    assert good[:2] == (True, "OK")
    assert bad[:2] == (False, "R") and "shell_refuses_commands" in bad[2]["compute2"].reasons(
        "fail"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "undo", "verdict", "reason"),
    [
        ("true", "true", "OK", ""),
        (
            "echo 'AllowUsers root' >/etc/ssh/sshd_config.d/allow.conf; pkill -HUP -o -x sshd",
            "rm /etc/ssh/sshd_config.d/allow.conf; pkill -HUP -o -x sshd",
            "R",
            "user_not_allowed",
        ),
        (
            "chown nova /etc/nova",
            "chown root /etc/nova",
            "R",
            "strict_modes",
        ),
        (
            "chmod 0600 /etc/nova/migration/authorized_keys",
            "chmod 0640 /etc/nova/migration/authorized_keys",
            "R",
            "authorized_keys_unreadable",
        ),
        (
            "usermod --shell /usr/sbin/nologin nova_migration",
            "usermod --shell /bin/bash nova_migration",
            "R",
            "shell_refuses_commands",
        ),
        (
            "sed -i 's|below = |below = False and |' /bin/nova-migration-wrapper",
            "sed -i 's|below = False and |below = |' /bin/nova-migration-wrapper",
            "R",
            "forced_command",
        ),
    ],
    ids=["as-deployed", "allow-users", "strict-modes", "unreadable", "nologin", "wrapper-refuses"],
)
def test_rdo(separate: Deployed, fault: str, undo: str, verdict: str, reason: str) -> None:
    host = separate.fleet["compute2"]
    host.sh(fault)
    try:
        ready, said, runs = agrees(separate, "rdo")
    finally:
        host.sh(undo)

    assert said == verdict, runs
    assert ready or reason in runs["compute2"].reasons("fail"), runs["compute2"]
    steps = [target for run in runs.values() for _, target in run.steps]
    assert not [t for t in steps if t.startswith(("/etc/nova/migration", "/var/lib/nova/.ssh"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "undo", "verdict", "reason"),
    [
        ("true", "true", "OK", ""),
        ("chmod 0777 /home/nova", "chmod 0755 /home/nova", "R", "strict_modes"),
    ],
    ids=["as-deployed", "strict-modes"],
)
def test_custom_with_the_host_s_own_sshd(
    mixed: Deployed, fault: str, undo: str, verdict: str, reason: str
) -> None:
    """As EDPM has it: the account that peers log in as is the host's, with a home of its own."""
    host = mixed.fleet["compute2"]
    host.sh(fault)
    try:
        ready, said, runs = agrees(mixed, "custom")
    finally:
        host.sh(undo)

    assert said == verdict, runs
    assert ready or reason in runs["compute2"].reasons("fail"), runs["compute2"]
