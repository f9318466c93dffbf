"""A full life of the agent, and no private key, password or hash in anything it prints, keeps, logs or shows to `ps`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import Host, end
from tests.lab.provision import AUTHORIZED_KEYS, NOVA_HOME, PEERS, explained, hand_round

pytestmark = pytest.mark.lab

PASSWORD = "canary-rabbit-7d1c"
TOKEN = "canary-token-19ab"
HASH = "$6$canary$OTYzMWJhNmQ3ZjQ4"
# Each process of the host, again and again: what `ps` or a hostile user could have seen.
SAMPLER = """
import os, select
seen = set()
print("ready", flush=True)
while not select.select([0], [], [], 0.005)[0]:
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{what}", "rb") as stream:
                    seen.add((what, stream.read()))
            except OSError:
                pass
for what, text in seen:
    if what == "cmdline" or b"resize-agent" in text or b"LC_ALL=C" in text:
        print(text)
"""
COMPUTE = (
    f"cd /; setsid env -i PATH=/usr/bin:/bin OS_PASSWORD={TOKEN} OS_DEFAULT__TRANSPORT_URL={TOKEN}"
    " setpriv --reuid nova --regid nova --clear-groups"
    " bash -c 'exec -a /usr/bin/nova-compute sleep 600' </dev/null >/dev/null 2>&1 &"
    " until pgrep -f '^/usr/bin/nova-compute' >/dev/null; do :; done"
)


@dataclass
class Life:
    """All that came out on one host; `processes` is the sampler's word."""

    host: Host
    outputs: dict[str, str] = field(default_factory=dict)
    processes: str = ""

    def run(self, *arguments: str) -> None:
        done = self.host.agent(*arguments)
        self.outputs[f"{len(self.outputs)} agent {' '.join(arguments)}"] = done.stdout + done.stderr


def live(fleet: Fleet, life: Life) -> None:
    """First run, keys, peers, a changed host key, a stale .pub, a withdrawn peer: each way of writing is gone through."""
    host = life.host
    life.run("--fix", "--dry-run", "--diff", "-v")
    life.run("--fix", "-v")
    fleet["compute2"].agent("--fix")
    hand_round(fleet)
    life.run("--fix", "--format", "json")
    life.run("-v")
    life.run("--format", "json")
    life.run("--format", "prometheus")
    life.run("facts")
    life.run("config", "show")
    host.sh(
        f"ssh-keygen -q -t ed25519 -N '' -f /tmp/k && cp /tmp/k.pub {NOVA_HOME}/.ssh/id_ed25519.pub; rm /tmp/k*"
    )
    host.write(f"{PEERS}/compute2.yaml", "schema: 1\nname: compute2\nstate: absent\n")
    life.run("--fix", "--dry-run", "--diff")
    life.run("--fix", "--format", "json")
    for broken in ("chmod 644", "truncate -s 100"):
        host.sh(f"{broken} {NOVA_HOME}/.ssh/id_ed25519")
        life.run("--no-probe", "-v")
        life.run("--fix", "--diff", "--dry-run", "--format", "json")
    life.run("explain", f"{NOVA_HOME}/.ssh/id_ed25519")


@pytest.fixture(scope="module")
def lives() -> Iterator[tuple[Fleet, Life, set[str]]]:
    """A fleet, what compute1 gave away, and every secret there is on it."""
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        host = fleet["compute1"]
        host.sh(
            f"sed -i 's,^\\[DEFAULT\\],&\\ntransport_url = rabbit://nova:{PASSWORD}@10.0.0.1/,' /etc/nova/nova.conf"
        )
        host.sh(f"echo 'canary:{HASH}:20000::::::' >>/etc/shadow; touch /root/start")
        host.sh(COMPUTE)
        life = Life(host)
        process = host.spawn(["python3", "-c", SAMPLER], stdin=subprocess.PIPE)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            # Its secret is known before it is broken.
            life.run("--fix", "--no-probe")
            secrets = all_secrets(host)
            live(fleet, life)
            out, _ = process.communicate(timeout=60)
            life.processes = out.decode()
        finally:
            if process.poll() is None:
                end(process)
        yield fleet, life, secrets


@pytest.fixture(autouse=True)
def _explained(
    request: pytest.FixtureRequest, lives: tuple[Fleet, Life, set[str]]
) -> Iterator[None]:
    yield from explained(request, lives[0])


def all_secrets(host: Host) -> set[str]:
    """Every line of every private key, and what else must not be told."""
    found = host.sh(
        f"cat {NOVA_HOME}/.ssh/id_ed25519 /etc/ssh/ssh_host_*_key | grep -v -- -----"
    ).stdout.split()
    # A public half is in the same file: the lines that only hold that are no secret.
    public = host.sh(f"cat {NOVA_HOME}/.ssh/*.pub /etc/ssh/*.pub").stdout
    return {word for word in found if word not in public} | {PASSWORD, TOKEN, HASH, "PRIVATE KEY"}


def leaks(text: str, secrets: set[str]) -> list[str]:
    return sorted(secret for secret in secrets if secret in text)


def test_there_is_something_to_leak(lives: tuple[Fleet, Life, set[str]]) -> None:
    fleet, life, secrets = lives
    assert len(secrets) > 10
    assert "ssh-keygen" in life.processes and "nova-compute" in life.processes
    assert leaks(fleet["compute1"].sh("cat /etc/ssh/ssh_host_*_key").stdout, secrets)


def test_no_output_holds_a_secret(lives: tuple[Fleet, Life, set[str]]) -> None:
    _, life, secrets = lives
    assert {name: leaks(text, secrets) for name, text in life.outputs.items()} == {
        name: [] for name in life.outputs
    }


def test_no_process_shows_a_secret(lives: tuple[Fleet, Life, set[str]]) -> None:
    """nova-compute's own environment aside, which nova alone may read."""
    _, life, secrets = lives
    lines = [line for line in life.processes.splitlines() if "OS_PASSWORD" not in line]
    assert leaks("\n".join(lines), secrets) == []


def test_no_file_that_was_written_holds_a_secret(lives: tuple[Fleet, Life, set[str]]) -> None:
    """Log, records, reports and backups; the private key itself may, and shadow, which usermod writes anew."""
    _, life, secrets = lives
    written = life.host.sh(
        f"find /etc /var /run /root /tmp /home -xdev -type f -newer /root/start"
        f" ! -path '{NOVA_HOME}/.ssh/id_ed25519' ! -path '/etc/shadow*' -print"
    ).stdout.split("\n")
    paths = [path for path in written if path and not path.startswith("/var/lib/nova/instances")]
    assert any("backups" in path for path in paths) and AUTHORIZED_KEYS in paths
    found = {path: leaks(life.host.read(path).decode(errors="replace"), secrets) for path in paths}
    assert {path: words for path, words in found.items() if words} == {}


def test_only_root_reads_the_backups(lives: tuple[Fleet, Life, set[str]]) -> None:
    _, life, _ = lives
    kept = "/var/lib/resize-agent/backups"
    modes = life.host.sh(f"stat -c '%U:%G %a' {kept} {kept}/*").stdout.split("\n")
    assert modes[0] == "root:root 700" and len(modes) > 2
    assert set(modes[1:-1]) == {"root:root 600"}
