"""One host for thousands of disturbed runs: put back before each, looked at after each."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.crash.driving import Driven, Driver, driver
from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host
from tests.lab.provision import (
    AUTHORIZED_KEYS,
    KNOWN_HOSTS,
    NOVA_HOME,
    OUR_CLIENT_CONFIG,
    OUR_KNOWN_HOSTS,
    Run,
    agent,
    put_record,
    strangers_key,
)

DRIVER = [Path(__file__).with_name(name) for name in ("driver.py", "calls.py")]
FIX = ("--fix", "--no-probe")
ARGUMENTS = (*FIX, "--format", "json")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": AGENT_HOME}
# nothing but what the agent or its tools may change, and what must not be touched beside it
KEPT = (
    "etc/passwd etc/shadow etc/group etc/gshadow etc/subuid etc/subgid etc/ssh etc/resize-agent"
    " var/lib/nova var/lib/resize-agent"
)
SAVED = "/root/saved.tar"
SAVE = f"for p in {KEPT}; do [ ! -e /$p ] || echo $p; done | tar -C / -cf {SAVED} -T -"
ACCOUNTS = "/etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid"
RESTORE = f"""
chattr -R -i -a /var/lib/nova 2>/dev/null || true
rm -rf /etc/ssh /etc/resize-agent /var/lib/nova /var/lib/resize-agent /run/resize-agent /run/resize-agent-*
for p in {ACCOUNTS}; do rm -f "$p" "$p"[-+] "$p".*; done
rm -f /etc/.pwd.lock /run/lock/resize-agent.lock
tar -C / -xpf {SAVED}
"""
LIST = r"""
find /etc/ssh /var/lib/nova /var/lib/resize-agent /run /tmp /var/tmp \
    -not -path '/run/sshd*' -not -path /run/comment -not -path '/run/lock/*' \
    \( -type d -printf '%p d %m %U:%G\n' -o -printf '%p %y %m %U:%G %n\n' \) || true
find /etc -maxdepth 1 -printf '%p %y %m %U:%G\n'
"""
# What usermod of the distribution leaves when it is killed, and removes or ignores in its next run: shadow(3) locks by a file
# with a process id, and writes beside. `pwck` and the next usermod are asked instead.
OF_SHADOW = re.compile(
    r"/etc/(\.pwd\.lock|(passwd|shadow|group|gshadow|subuid|subgid)([-+]|\.lock|\.[0-9]+)) "
)

FOREIGN_KEYS = (
    b"# operators\n" + strangers_key("alice").encode() + b" alice@example.org\n\n"
    b"not a line of authorized_keys \xff\n" + strangers_key("bob").encode() + b" no newline"
)
FOREIGN_KNOWN = b"git.example.org " + strangers_key("git").encode() + b"\n# \xe9\n@revoked * x"
NEIGHBOURS = {
    "/etc/ssh/ssh_known_hosts": b"all.example.org " + strangers_key("all").encode() + b"\n",
    "/etc/ssh/ssh_config.d/10-site.conf": b"# the site's\n",
    "/etc/ssh/ssh_known_hosts.nova~": b"an editor's copy",
    f"{NOVA_HOME}/.ssh/notes": b"mine\n",
}
SHARED = {AUTHORIZED_KEYS: FOREIGN_KEYS, KNOWN_HOSTS: FOREIGN_KNOWN}
WHOLE = (OUR_KNOWN_HOSTS, OUR_CLIENT_CONFIG, f"{NOVA_HOME}/.ssh/id_ed25519.pub")


@dataclass(frozen=True)
class Look:
    """What is there: names with type, mode, owner and links; the texts that are ours or shared; what account tools say."""

    names: frozenset[str]
    texts: dict[str, bytes]
    accounts: str


def record(name: str, number: int, *, keys: str = "", state: str = "present") -> str:
    """Of a peer that exists on paper only."""
    host_key, user_key = strangers_key(f"host {name}{keys}"), strangers_key(f"nova {name}{keys}")
    return f"""schema: 1
name: {name}
address: 10.100.0.{number}
port: 22
host_keys: ["{host_key}"]
user_keys: ["{user_key} nova@{name}"]
nova: {{user: nova, transport: ssh, instances_path: {NOVA_HOME}/instances, image_cache: _base}}
state: {state}
"""


def raw(host: Host) -> None:
    """As installed, with two records and lines of other people's: everything has to be made."""
    host.sh(f"usermod --shell /usr/sbin/nologin nova; rmdir {NOVA_HOME}/instances")
    put_record(host, "compute2", record("compute2", 32))
    put_record(host, "compute3", record("compute3", 33))
    _others(host)


def changed(host: Host) -> None:
    """Provisioned once; since then one peer has new keys, one left, and much drifted: everything has to be replaced."""
    raw(host)
    host.write("/etc/resize-agent/agent.yaml", "known_hosts: user\n")
    for place in ("user", "global"):  # so that both files hold lines of ours
        host.write("/etc/resize-agent/agent.yaml", f"known_hosts: {place}\n")
        done = agent(host, *FIX)
        assert done.status == 0, done
    host.write("/etc/resize-agent/agent.yaml", "known_hosts: user\n")
    put_record(host, "compute2", record("compute2", 32, keys=" reinstalled"))
    put_record(host, "compute3", "schema: 1\nname: compute3\nstate: absent\n")
    put_record(host, "compute4", record("compute4", 34))
    stale = f"{strangers_key('stale')} nova@compute1\n"
    host.write(f"{NOVA_HOME}/.ssh/id_ed25519.pub", stale)
    host.sh(
        f"chmod 0640 {NOVA_HOME}/.ssh/id_ed25519; chown 0:0 {NOVA_HOME}/instances;"
        " usermod --shell /bin/false nova"
    )


def _others(host: Host) -> None:
    host.sh(f"mkdir -p -m 700 {NOVA_HOME}/.ssh", user="nova")
    for path, text in SHARED.items():
        host.write(path, text, mode=0o600, owner="nova:nova")
    for path, text in NEIGHBOURS.items():
        host.write(path, text)


@dataclass(frozen=True)
class Ground:
    """`before` is the saved state, `after` what an undisturbed run makes of it, `points` what it did."""

    host: Host
    driver: Driver
    before: Look
    after: Look
    points: tuple[str, ...]

    def restore(self) -> Host:
        self.host.sh(RESTORE)
        return self.host

    def driven(self, at: int, how: str) -> Driven:
        self.restore()
        return self.driver.run(ARGUMENTS, at, how)

    def fix(self) -> Run:
        """Undisturbed, on what is there now."""
        done = self.driver.run(ARGUMENTS)
        assert done.status is not None
        return Run(self.host.name, FIX, done.status, done.stdout, done.stderr)


@contextmanager
def ground(prepare: Callable[[Host], None]) -> Iterator[Ground]:
    with Fleet(["compute1"], progress=lambda _line: None) as fleet:
        host = fleet["compute1"]
        for path in DRIVER:
            host.write(f"/root/{path.name}", path.read_bytes())
        host.start_sshd()
        prepare(host)
        host.sh(SAVE)
        host.sh(RESTORE)
        before = look(host)
        with driver(_started(host), "agent.cli:main", ENVIRONMENT) as driving:
            run = driving.run(ARGUMENTS, 0, "count")
            assert run.status == 0, run
            assert all(step["result"] == "done" for step in run.report["applied"]), run.stdout
            assert run.report["plan"]["steps"] == [], run.stdout
            yield Ground(host, driving, before, look(host), tuple(run.points))


def _started(host: Host) -> subprocess.Popen[bytes]:
    argv = ["/usr/bin/python3", "-B", "/root/driver.py", "agent"]
    env = {"PYTHONPATH": AGENT_HOME}
    return host.spawn(argv, env=env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def look(host: Host) -> Look:
    script = f"{LIST}\necho ==\npwck -r; grpck -r; getent passwd nova\n"
    names, _, accounts = host.sh(script, check=False).stdout.partition("==\n")
    listed = frozenset(line for line in names.splitlines() if not OF_SHADOW.match(line))
    paths = [*SHARED, *WHOLE, *NEIGHBOURS]
    return Look(listed, {path: _text(host, path) for path in paths}, accounts)


def _text(host: Host, path: str) -> bytes:
    """Empty where there is none."""
    try:
        with open(f"/proc/{host.pid}/root{path}", "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""
