"""What stands in root's way elsewhere: nova's home as working directory, a terminal, a process that names places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.tricks import EVIL, RAN
from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host
from tests.lab.provision import NOVA_HOME, agent, converge, explained

pytestmark = pytest.mark.lab

LAUNCHER = Path(__file__).parents[2] / "packaging" / "agent-launcher"
# Types a command into every terminal it can find, the way an injected `su` session is taken over (TIOCSTI).
TYPIST = r"""#!/usr/bin/python3
import fcntl, os, termios
open("/tmp/typist", "a").write("x")
for name in (0, 1, 2, "/dev/tty", "/dev/pts/0", "/dev/pts/1", "/dev/console"):
    try:
        terminal = os.open(name, os.O_RDWR) if isinstance(name, str) else name
        for octet in b"touch /root/typed\n":
            fcntl.ioctl(terminal, termios.TIOCSTI, bytes([octet]))
        open("/tmp/typist", "a").write("TYPED")
    except OSError:
        pass
"""
# Root's own interactive shell, in a terminal; the agent runs in it, and what is typed would be its next command.
SESSION = r"""
import os, pty, select, sys
child, terminal = pty.fork()
if child == 0:
    os.execv("/bin/sh", ["sh", "-i"])
command = "python3 -m agent --fix --peer-timeout 5 >/dev/null 2>&1; echo do''ne\n"
os.write(terminal, command.encode())
seen = b""
while b"done" not in seen:
    ready, _, _ = select.select([terminal], [], [], 120)
    if not ready:
        sys.exit("nothing in two minutes: " + repr(seen))
    seen += os.read(terminal, 4096)
os.write(terminal, b"exit\n")
os.waitpid(child, 0)
"""


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
    host = fleet["compute1"]
    yield host
    host.sh(
        f"cd {NOVA_HOME}; rm -rf .bashrc .ssh/config typist agent yaml.py psutil.py sitecustomize.py"
        f" {RAN} /tmp/typist /root/typed"
    )


def test_a_module_in_novas_home_is_not_loaded_by_root(host: Host) -> None:
    """An operator types `agent` where he stands, and that may be nova's home."""
    plant = f"""
cd {NOVA_HOME}; mkdir agent
printf '#!/bin/sh\\nid -u >>{RAN}\\n' >{EVIL}; chmod 755 {EVIL}
for name in yaml psutil agent/__init__ agent/__main__ agent/cli sitecustomize; do
    printf 'import os; os.system("{EVIL}")\\n' >$name.py
done
"""
    host.sh(plant, user="nova")
    host.write("/usr/local/bin/agent", LAUNCHER.read_bytes(), mode=0o755)
    done = host.run(["sh", "-c", f"cd {NOVA_HOME}; /usr/local/bin/agent --version"])
    assert done.returncode == 0, done
    assert host.run(["sh", "-c", f"cd {NOVA_HOME}; agent --no-probe"]).returncode in (0, 1, 3)
    assert not host.exists(RAN)


def test_nothing_is_typed_into_the_operators_terminal(host: Host) -> None:
    host.write(f"{NOVA_HOME}/typist", TYPIST, mode=0o755, owner="nova:nova")
    host.sh(f"echo '{NOVA_HOME}/typist </dev/null >/dev/null' >~nova/.bashrc", user="nova")
    host.write(
        f"{NOVA_HOME}/.ssh/config",
        f"Match exec {NOVA_HOME}/typist\n",
        mode=0o600,
        owner="nova:nova",
    )
    own = {"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1", "PS1": ""}
    done = host.run(["python3", "-c", SESSION], env={**own, "HOME": "/root"}, timeout=180)
    assert done.returncode == 0, done
    assert host.read("/tmp/typist"), "it has run"
    assert b"TYPED" not in host.read("/tmp/typist")
    assert not host.exists("/root/typed")


def test_a_directory_that_a_process_names_is_not_listed_for_it(host: Host) -> None:
    """--config-dir of a process that nova calls nova-compute: names of root's files are no business of nova's."""
    host.sh("mkdir -pm 700 /root/private; touch /root/private/canary-name-77.conf")
    hold = "import time; time.sleep(600)"
    process = host.spawn(
        [
            "bash",
            "-c",
            f"exec -a /usr/bin/nova-compute python3 -c '{hold}' --config-dir /root/private",
        ],
        user="nova",
    )
    try:
        host.sh("until pgrep -f '^/usr/bin/nova-compute' >/dev/null; do :; done")
        run = agent(host, "--no-probe")
        assert "canary-name-77" not in run.stdout + run.stderr
    finally:
        host.sh("pgrep -f '^/usr/bin/nova-compute' | xargs -r kill")
        process.wait()


def test_a_program_that_only_root_can_reach_is_none_of_novas(host: Host) -> None:
    """PATH of a process that nova calls nova-compute: what is looked for there is looked for as nova."""
    host.sh(
        "mkdir -pm 700 /root/tools; for t in ssh scp rsync; do cp /bin/true /root/tools/$t; done"
    )
    name = "exec env -i PATH=/root/tools bash -c 'exec -a /usr/bin/nova-compute sleep 600'"
    process = host.spawn(
        ["/bin/bash", "-c", name.replace("bash", "/bin/bash").replace("sleep", "/bin/sleep")],
        user="nova",
    )
    try:
        host.sh("until pgrep -x -f '/usr/bin/nova-compute 600' >/dev/null; do :; done")
        run = agent(host, "--no-probe")
        assert "/root/tools" not in run.stdout and "tool_missing" in run.reasons(), run
    finally:
        host.sh("pkill -u nova -x sleep; rm -r /root/tools")
        process.wait()


def test_whatever_a_run_is_doing_it_ends_when_its_time_is_up(host: Host) -> None:
    """The alarm rings where no limit of a program counts; here it is rung by hand while something is going on."""
    host.write(
        f"{NOVA_HOME}/.ssh/config",
        'Match exec "sleep 1000"\n',
        mode=0o600,
        owner="nova:nova",
    )
    own = {"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"}
    process = host.spawn(["python3", "-m", "agent", "--no-probe"], env=own)
    host.sh(
        "until pgrep -u nova -x sleep >/dev/null; do :; done; pkill -ALRM -x -f 'python3 -m agent --no-probe'"
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, b"")
    assert err == b"agent: the run took more than 240 seconds and was broken off\n"
    assert host.run(["pgrep", "-u", "nova", "-x", "sleep"]).returncode == 1, (
        "nothing is left behind"
    )
