"""A full life of the agent, and no private key, password or hash in anything it prints, keeps, logs or shows to `ps`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.lab.daemons import LOG, REPORT, daemons
from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, SYSLOG, Host, end
from tests.lab.provision import AUTHORIZED_KEYS, NOVA_HOME, PEERS, explained, hand_round

pytestmark = pytest.mark.lab

PASSWORD = "canary-rabbit-7d1c"
TOKEN = "canary-token-19ab"
HASH = "$6$canary$OTYzMWJhNmQ3ZjQ4"
SCRAPERS = "canary-scraper-55e0"
"""The password of who may see the exporter's page; its hash is a secret too."""
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
    " bash -c 'exec -a /usr/bin/nova-compute sleep infinity' </dev/null >/dev/null 2>&1 &"
    " until pgrep -f '^/usr/bin/nova-compute' >/dev/null; do :; done"
)


# A page, headers and all; `authorization` as a browser sends it.
FETCH = """
import base64, sys, urllib.error, urllib.request
asked = urllib.request.Request(sys.argv[1])
if sys.argv[2]:
    asked.add_header("Authorization", "Basic " + base64.b64encode(sys.argv[2].encode()).decode())
try:
    answer = urllib.request.urlopen(asked, timeout=60)
except urllib.error.HTTPError as refused:
    answer = refused
print(answer.status, answer.headers, answer.read().decode())
"""
PAGES = ("", "metrics", "report", "report.json", "-/healthy", "-/ready", "no-such-page")
SERVED = "/var/log/exporter.log"


@dataclass
class Life:
    """All that came out on one host; `processes` is the sampler's word."""

    host: Host
    outputs: dict[str, str] = field(default_factory=dict)
    processes: str = ""

    def run(self, *arguments: str) -> None:
        done = self.host.agent(*arguments)
        self.keep(f"agent {' '.join(arguments)}", done.stdout + done.stderr)

    def keep(self, what: str, said: str) -> None:
        self.outputs[f"{len(self.outputs)} {what}"] = said

    def fetch(self, port: int, login: str = "") -> None:
        for page in PAGES:
            url = f"http://127.0.0.1:{port}/{page}"
            done = self.host.run(["python3", "-c", FETCH, url, login])
            assert done.returncode == 0, done
            self.keep(f"GET {url} {login and 'logged in'}", done.stdout)


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
    life.run("explain", "/etc/nova/nova.conf")
    life.run("--textfile", "/var/lib/metrics/agent.prom", "--strict", "-q")
    served(life)
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


def served(life: Life) -> None:
    """The daemon with its own page, and an exporter with a password; both asked for everything."""
    host = life.host
    made = f"import bcrypt; print(bcrypt.hashpw(b'{SCRAPERS}', bcrypt.gensalt(5)).decode())"
    hashed = host.run(["python3", "-c", made]).stdout.strip()
    host.write("/etc/web.yaml", f"basic_auth_users:\n  scraper: {hashed}\n", mode=0o600)
    host.sh(f"chown nobody /etc/web.yaml; touch {SERVED}; chown nobody {SERVED}")
    options = ("--listen", "127.0.0.1:19122", "--textfile", "/var/lib/metrics/agent.prom")
    with daemons([host], *options) as made_daemons:
        daemon = made_daemons[host.name]
        daemon.await_that(lambda: daemon.row("compute2")["outcome"], "compute2 is dialled")
        life.fetch(19122)
        line = (
            "exec python3 -m agent exporter --listen 127.0.0.1:19123 --web-config /etc/web.yaml"
            f" >>{SERVED} 2>&1"
        )
        own = {"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"}
        exporter = host.spawn(["sh", "-c", line], user="nobody", env=own)
        try:
            daemon.await_that(lambda: host.sh(LISTENS, check=False).stdout, "the exporter listens")
            life.fetch(19123)
            life.fetch(19123, f"scraper:{SCRAPERS}")
            life.fetch(19123, f"scraper:{SCRAPERS}-wrong")
        finally:
            end(exporter)
        life.keep("told the service manager", "\n".join(daemon.told))
        daemon.signal("TERM")
        assert daemon.ended() == 0


LISTENS = "ss -Hltn 'sport = :19123'"


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
        host.sh(f"{COMPUTE}; mkdir -p /var/lib/metrics")
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
    return {word for word in found if word not in public} | {
        *(PASSWORD, TOKEN, HASH, SCRAPERS, "$2b$05$", "PRIVATE KEY"),
    }


def leaks(text: str, secrets: set[str]) -> list[str]:
    return sorted(secret for secret in secrets if secret in text)


def test_there_is_something_to_leak(lives: tuple[Fleet, Life, set[str]]) -> None:
    fleet, life, secrets = lives
    assert len(secrets) > 10
    assert "ssh-keygen" in life.processes and "nova-compute" in life.processes
    host = fleet["compute1"]
    assert leaks(host.sh("cat /etc/ssh/ssh_host_*_key").stdout, secrets)
    assert leaks(host.read("/etc/web.yaml").decode(), secrets) == ["$2b$05$"]
    metrics = [text for name, text in life.outputs.items() if "/metrics" in name]
    assert any("resize_agent_ready" in text for text in metrics)
    assert any(text.startswith("401 ") for text in metrics)
    assert "agent exporter" in life.processes.replace("\\x00", " ")
    assert "agent daemon" in life.processes.replace("\\x00", " ")


def test_no_output_holds_a_secret(lives: tuple[Fleet, Life, set[str]]) -> None:
    _, life, secrets = lives
    assert {name: leaks(text, secrets) for name, text in life.outputs.items()} == {
        name: [] for name in life.outputs
    }


def test_no_process_shows_a_secret(lives: tuple[Fleet, Life, set[str]]) -> None:
    """nova-compute's own environment aside, which nova alone may read."""
    _, life, secrets = lives
    lines = [line for line in life.processes.splitlines() if "OS_PASSWORD" not in line]
    # what a browser of ours has in its arguments is the test's own doing, not the agent's
    lines = [line for line in lines if "urllib.request" not in line and "bcrypt" not in line]
    assert leaks("\n".join(lines), secrets) == []


def test_no_file_that_was_written_holds_a_secret(lives: tuple[Fleet, Life, set[str]]) -> None:
    """Log, records, reports and backups; the private key itself may, and shadow, which usermod writes anew."""
    _, life, secrets = lives
    written = life.host.sh(
        f"find /etc /var /run /root /tmp /home -xdev -type f -newer /root/start"
        f" ! -path '{NOVA_HOME}/.ssh/id_ed25519' ! -path '/etc/shadow*' ! -path /etc/web.yaml -print"
    ).stdout.split("\n")
    paths = [path for path in written if path and not path.startswith("/var/lib/nova/instances")]
    assert any("backups" in path for path in paths)
    expected = {AUTHORIZED_KEYS, LOG, SERVED, SYSLOG, REPORT, "/var/lib/metrics/agent.prom"}
    assert expected <= set(paths), paths
    found = {path: leaks(life.host.read(path).decode(errors="replace"), secrets) for path in paths}
    assert {path: words for path, words in found.items() if words} == {}


def test_only_root_reads_the_backups(lives: tuple[Fleet, Life, set[str]]) -> None:
    _, life, _ = lives
    kept = "/var/lib/resize-agent/backups"
    modes = life.host.sh(f"stat -c '%U:%G %a' {kept} {kept}/*").stdout.split("\n")
    assert modes[0] == "root:root 700" and len(modes) > 2
    assert set(modes[1:-1]) == {"root:root 600"}


def test_what_everybody_may_read_is_meant_for_everybody(
    lives: tuple[Fleet, Life, set[str]],
) -> None:
    _, life, _ = lives
    listed = life.host.sh(r"cd /var/lib/resize-agent; find . -maxdepth 1 -printf '%f %m %U\n'")
    assert set(listed.stdout.splitlines()) == {
        *(". 755 0", "backups 700 0"),
        *("report.json 644 0", "probes.json 644 0", "fixes.json 644 0"),
    }
