"""The confined daemon says what an unconfined root says, or that it cannot know; and it has no privilege it does not need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.guests.compute import (
    await_that,
    daemon_report,
    environment,
    furnish,
    install,
    journal,
    make_ready,
    plain_report,
    saved,
)
from tests.guests.guests import Guests
from tests.lab.host import Host

pytestmark = [pytest.mark.lab, pytest.mark.slow]
DROP_IN = "/etc/systemd/system/resize-agent.service.d/test.conf"
EXAMPLES = "/usr/share/doc/resize-agent/examples/systemd"
SSH = "/var/lib/nova/.ssh"
Said = dict[str, str]


@pytest.fixture(scope="module")
def pair(deb: Path) -> Iterator[Guests]:
    with Guests("bookworm", ["c1", "c2"]) as guests:
        for host in guests:
            furnish(host)
            install(host, deb)
        make_ready(guests)
        for host in guests:  # nova's shell is in place now, and its key
            host.sh(f"cp -a {SSH} /root/nova-ssh; cp /etc/default/ssh /root/default-ssh")
        yield guests


@pytest.fixture
def c1(pair: Guests) -> Iterator[Host]:
    """The first guest, ready; what a test does to it is taken back."""
    yield pair["c1"]
    undo(pair["c1"])


def undo(host: Host) -> None:
    host.sh(
        f"set +e; rm -rf {DROP_IN} {SSH}; cp -a /root/nova-ssh {SSH}; cp /root/default-ssh /etc/default/ssh;"
        "pkill -u nova -x sleep; pkill -u nova -x ssh; pkill -u nova ssh-agent;"
        "cd /etc/resize-agent/peers.d && chown root *.yaml && chmod 644 *.yaml;"
        " umount -q /var/lib/nova/instances;"
        "systemctl stop nova-compute; usermod -d /var/lib/nova nova; systemctl daemon-reload;"
        "systemctl restart ssh",
        check=False,
    )
    furnish(host)


def verdicts(report: dict[str, Any]) -> Said:
    """What a report says, without times and words: each check's findings, each peer's row, the roles, the plan."""
    said = {f"role {name}": str(role["ready"]) for name, role in report["roles"].items()}
    for check in report["checks"]:
        found = sorted(
            f"{f['peer']} {f['subject']} {f['outcome']} {f['reason']}" for f in check["findings"]
        )
        said[f"check {check['id']}"] = f"{check['outcome']}: " + "; ".join(found)
    for row in report["peers"]:
        said[f"peer {row['name']}"] = f"{row['outcome']} {row['stage']} {row['reason']}"
    said["plan"] = "; ".join(f"{s['action']} {s['target']}" for s in report["plan"]["steps"])
    return said


def ready(_: Host) -> None:
    """As made ready."""


def no_identity(host: Host) -> None:
    host.sh(f"rm {SSH}/id_ed25519*")


def key_mode(host: Host) -> None:
    host.sh(f"chmod 644 {SSH}/id_ed25519")


def sshd_argument(host: Host) -> None:
    """On sshd's command line only, where `sshd -T` does not see it."""
    host.sh("echo 'SSHD_OPTS=-oPubkeyAuthentication=no' > /etc/default/ssh; systemctl restart ssh")


def path_without_scp(host: Host) -> None:
    host.sh("mkdir -p /opt/bin && ln -sf /usr/bin/ssh /opt/bin/ssh")
    environment(host, PATH="/opt/bin")


def own_connection_shared(host: Host) -> None:
    """ssh makes a socket in nova's home for each connection."""
    host.write(f"{SSH}/config", f"ControlMaster auto\nControlPath {SSH}/%C\n", owner="nova:nova")


def key_in_an_agent(host: Host) -> None:
    """The only private key is in an ssh-agent whose socket lies in /tmp."""
    add = f"ssh-agent -a /tmp/nova.agent; SSH_AUTH_SOCK=/tmp/nova.agent ssh-add {SSH}/id_ed25519"
    host.sh(f"{add} && rm {SSH}/id_ed25519", user="nova")
    environment(host, SSH_AUTH_SOCK="/tmp/nova.agent")


def home_elsewhere(host: Host) -> None:
    host.sh("systemctl stop nova-compute; rm -rf /home/nova; cp -a /var/lib/nova /home/nova")
    host.sh("usermod -d /home/nova nova; systemctl start nova-compute")


def instances_elsewhere(host: Host) -> None:
    host.sh("install -d -o nova -g nova -m 755 /srv/nova /srv/nova/instances")
    conf = "[DEFAULT]\nhost = c1\ninstances_path = /srv/nova/instances\n"
    host.write("/etc/nova/nova.conf", conf, owner="nova:nova")


def instances_elsewhere_told(host: Host) -> None:
    instances_elsewhere(host)
    example = f"sed s,/srv/nova/instances,/srv/nova, {EXAMPLES}/instances-path.conf"
    host.sh(f"mkdir -p $(dirname {DROP_IN}); {example} > {DROP_IN}; systemctl daemon-reload")


def read_only_for_all(host: Host) -> None:
    host.sh("mount -t tmpfs -o ro tmpfs /var/lib/nova/instances")


@pytest.mark.parametrize(
    "situation",
    [
        *(ready, no_identity, key_mode, sshd_argument, path_without_scp, own_connection_shared),
        *(key_in_an_agent, home_elsewhere, instances_elsewhere_told, read_only_for_all),
    ],
)
def test_daemon_says_what_root_says(c1: Host, situation: Callable[[Host], None]):
    situation(c1)

    confined, plain = verdicts(daemon_report(c1)), verdicts(plain_report(c1))

    assert confined == plain


def test_what_is_read_only_for_the_daemon_alone_is_unknown(c1: Host):
    instances_elsewhere(c1)

    report = daemon_report(c1)

    confined, plain = verdicts(report), verdicts(plain_report(c1))
    differing = {key for key in plain if confined[key] != plain[key]}
    assert "check instances_directory" in differing
    for key in differing - {"role source", "role destination", "peer c2", "plan"}:
        assert confined[key].startswith("unknown"), (key, confined[key], plain[key])
    assert "restart resize-agent" in str(report)


def test_file_system_mounted_while_the_daemon_runs_is_seen(c1: Host):
    daemon_report(c1)

    c1.sh("mount -t tmpfs -o mode=755 tmpfs /var/lib/nova/instances")
    plain = verdicts(plain_report(c1))
    c1.sh("systemctl kill -s USR1 resize-agent")

    await_that(
        lambda: (
            verdicts(saved(c1))["check instances_directory"] == plain["check instances_directory"]
        ),
        "the daemon sees what root sees",
        lambda: f"{verdicts(saved(c1))}\n{plain}",
    )
    assert plain["check instances_directory"].startswith("fail")


def others_record(host: Host) -> None:
    """As a tool leaves it that runs as somebody else."""
    host.sh("cd /etc/resize-agent/peers.d; chown games c2.yaml; chmod 600 c2.yaml")


@dataclass(frozen=True)
class Loss:
    """A privilege taken away, and what of a report is then lost."""

    lines: str
    lost: str
    situation: Callable[[Host], None] = ready


LOSSES = {
    "dac_read_search": Loss(
        "CapabilityBoundingSet=~CAP_DAC_READ_SEARCH", "check records", others_record
    ),
    "setuid": Loss("CapabilityBoundingSet=~CAP_SETUID", "check nova_config"),
    "setgid": Loss("CapabilityBoundingSet=~CAP_SETGID", "check nova_config"),
    "writable_home": Loss("ReadWritePaths=\nReadWritePaths=/tmp", "check instances_directory"),
    "tmp": Loss("PrivateTmp=yes", "peer c2", key_in_an_agent),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_privilege_is_needed(c1: Host, name: str):
    loss = LOSSES[name]
    loss.situation(c1)
    before = verdicts(daemon_report(c1))
    assert before == verdicts(plain_report(c1))
    take_away(c1, loss.lines)

    after = verdicts(daemon_report(c1, dialled=False))

    assert after[loss.lost] != before[loss.lost]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        # Its own addresses come by netlink; what acts as nova has to be ended.
        ("RestrictAddressFamilies=~AF_NETLINK", "own addresses cannot be listed (netlink)"),
        ("CapabilityBoundingSet=~CAP_KILL", "needs CAP_KILL"),
        ("User=games", "run it as root"),
    ],
)
def test_without_these_the_daemon_does_not_start(c1: Host, lines: str, said: str):
    take_away(c1, lines)

    assert c1.run(["systemctl", "restart", "resize-agent"]).returncode == 1
    assert said in journal(c1)


def test_dial_that_hangs_is_ended(c1: Host):
    c1.write(f"{SSH}/config", "ProxyCommand sleep 987\n", owner="nova:nova")

    said = verdicts(daemon_report(c1))

    assert said["peer c2"] == verdicts(plain_report(c1))["peer c2"]
    assert c1.run(["pgrep", "-u", "nova", "-f", "sleep 987"]).returncode == 1


def test_daemon_that_is_stopped_ends_by_itself_and_its_dial_with_it(c1: Host):
    c1.write(f"{SSH}/config", "ProxyCommand sleep 986\n", owner="nova:nova")
    dialling = ["pgrep", "-u", "nova", "-f", "sleep 986"]
    c1.sh("systemctl restart resize-agent")
    await_that(lambda: c1.run(dialling).returncode == 0, "it dials", lambda: journal(c1))

    c1.sh("systemctl stop resize-agent")

    # Not "timeout": systemd had to send nothing but the first SIGTERM.
    shown = c1.sh("systemctl show -P Result -P ExecMainStatus resize-agent").stdout.split()
    assert shown == ["success", "0"], journal(c1)
    assert c1.run(dialling).returncode == 1


def take_away(host: Host, lines: str) -> None:
    host.sh(f"mkdir -p $(dirname {DROP_IN})")
    host.write(DROP_IN, f"[Service]\n{lines}\n")
    host.sh("systemctl daemon-reload")
