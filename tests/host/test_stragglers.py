"""What a program leaves behind is found and ended, however it tried to get away."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from agent.host.programs import run
from tests.host.ground import NOVA_ID, a_user, needs_root
from tests.host.test_programs import dies, python

ENOUGH = 60.0
REST = "import os, sys, time\nwhere = sys.argv[1]\n"
LINGER = "open(where + '/' + str(os.getpid()), 'w').close(); time.sleep(1000)\n"
GETAWAYS = {
    "setsid": "if os.fork() == 0: os.setsid(); " + LINGER,
    "double-fork": (
        "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  os.setsid(); " + LINGER
    ),
    "a-family": (
        "if os.fork() == 0:\n os.setsid()\n for _ in range(5):\n"
        "  if os.fork() == 0: os.setsid(); " + LINGER + " " + LINGER
    ),
    "cleared-environment": (
        "if os.fork() == 0:\n os.setsid()\n os.execve('/bin/sh', "
        "['sh', '-c', 'echo >' + where + '/$$; exec sleep 1000'], {})\n"
    ),
    "ignores-signals": (
        "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n"
        "if os.fork() == 0: os.setsid(); " + LINGER
    ),
    "own-reaper": (
        "import ctypes\nif os.fork() == 0:\n os.setsid(); ctypes.CDLL(None).prctl(36, 1)\n"
        " if os.fork() == 0: os.setsid(); " + LINGER + " " + LINGER
    ),
}
WAIT = (
    "\nwhile len(os.listdir(where)) < {}: time.sleep(0.001)\n"  # until all have told their number
)
FAMILY = {"a-family": 6, "own-reaper": 2}


@pytest.fixture
def told(place: Path) -> Path:
    """Where a straggler writes its pid as the name of a file."""
    directory = place / "told"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


@needs_root
@pytest.mark.parametrize("name", GETAWAYS)
def test_a_straggler_is_ended(name: str, told: Path) -> None:
    code = REST + GETAWAYS[name] + WAIT.format(FAMILY.get(name, 1))
    done = run(["python3", "-c", code, str(told)], timeout=ENOUGH, account=a_user())
    assert done.ok, done.stderr
    pids = [int(found) for found in os.listdir(told)]
    assert len(pids) == FAMILY.get(name, 1)
    assert all(dies(pid) for pid in pids)


@needs_root
def test_a_straggler_of_a_program_that_met_its_limit_is_ended(told: Path) -> None:
    code = REST + GETAWAYS["double-fork"] + "\ntime.sleep(1000)"
    done = run(["python3", "-c", code, str(told)], timeout=1.5, account=a_user())
    assert done.returncode is None
    assert [dies(int(found)) for found in os.listdir(told)] == [True]


def test_no_zombie_is_left(told: Path) -> None:
    code = REST + GETAWAYS["a-family"] + WAIT.format(6)
    before = psutil.Process().children()
    assert run([sys.executable, "-c", code, str(told)], timeout=ENOUGH).ok
    assert set(psutil.Process().children()) <= set(before)


def test_a_process_that_somebody_else_started_is_spared() -> None:
    """Before or meanwhile: a child in our own session is not a program's."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as before:
        assert python("print(1)").ok
        assert before.poll() is None
        before.kill()


@needs_root
def test_nothing_is_ended_while_another_program_runs(told: Path) -> None:
    """The shared connection that an ssh of another thread has put into the background."""
    reading, writing = os.pipe()
    done = threading.Event()

    def halted() -> bool:
        return done.is_set()

    def long() -> None:
        code = REST + GETAWAYS["setsid"] + WAIT.format(1) + "print(flush=True); time.sleep(1000)"
        run([sys.executable, "-c", code, str(told)], timeout=ENOUGH, halted=halted)
        os.close(writing)

    thread = threading.Thread(target=long)
    thread.start()
    try:
        deadline = threading.Event()
        while not os.listdir(told) and thread.is_alive():
            deadline.wait(0.01)
        pid = int(os.listdir(told)[0])
        assert python("print(1)").ok
        os.kill(pid, 0)
    finally:
        done.set()
        thread.join()
    assert select.select([reading], [], [], ENOUGH)[0]
    os.close(reading)
    assert dies(pid)


@needs_root
def test_a_program_run_as_a_user_has_no_capability_at_all() -> None:
    """Also where we ourselves were started with inheritable and ambient ones."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from agent.host.programs import run\n"
        "from tests.host.ground import a_user\n"
        "print(run(['grep', '^Cap[IPEA]', '/proc/self/status'], timeout=60, account=a_user()).stdout)\n"
    )
    top = str(Path(__file__).parents[2])
    given = ["setpriv", "--inh-caps", "+chown,+kill", "--ambient-caps", "+chown"]
    shown = subprocess.run(
        [*given, sys.executable, "-c", code, top], capture_output=True, text=True, check=True
    ).stdout.split()
    assert shown == [w for c in ("Inh", "Prm", "Eff", "Amb") for w in (f"Cap{c}:", "0" * 16)]


@needs_root
def test_a_child_that_looks_as_a_user_has_no_capability_and_no_descriptor_of_ours(
    place: Path,
) -> None:
    from agent.host.impersonate import call

    with open(place / "secret", "w") as stream:
        os.set_inheritable(stream.fileno(), True)
        sets, held = call(a_user(), 60, _what_it_has)
    assert sets == ["0" * 16] * 4
    assert [name for name in held if "secret" in name] == []
    assert set(held[:2]) == {"/dev/null"}


def _what_it_has() -> list[list[str]]:
    with open("/proc/self/status") as stream:
        words = [line.split() for line in stream]
    sets = [w[1] for w in words if w[0] in ("CapInh:", "CapPrm:", "CapEff:", "CapAmb:")]
    held = [f"/proc/self/fd/{n}" for n in sorted(map(int, os.listdir("/proc/self/fd")))]
    return [sets, [os.readlink(n) for n in held if os.path.lexists(n)]]


@needs_root
def test_a_link_to_a_descriptor_of_ours_leads_nowhere(place: Path) -> None:
    """Through /proc/self/fd a file is opened past the closed directory that it lies in."""
    from pathlib import PurePosixPath

    from agent.host import Host
    from agent.model import File

    (place / "closed").mkdir()
    (place / "closed" / "canary").write_text("canary")
    (place / "closed").chmod(0o700)
    with open(place / "closed" / "canary") as stream:
        os.set_inheritable(stream.fileno(), True)
        link = place / "known_hosts"
        link.symlink_to(f"/proc/self/fd/{stream.fileno()}")
        seen = Host("/").files_as(a_user(), [PurePosixPath(link)], content=True)
    assert [s for s in seen.values() if isinstance(s, File) and s.content == b"canary"] == []


@needs_root
def test_the_user_cannot_look_into_a_child_that_acts_as_it(place: Path) -> None:
    """It was forked from root and holds what root has read."""
    from agent.host.impersonate import call

    inside, outside = os.pipe()
    os.set_inheritable(outside, True)
    pids = place / "pids"
    pids.mkdir()
    pids.chmod(0o777)
    thread = threading.Thread(target=lambda: call(a_user(), 5, _stay, str(pids)))
    thread.start()
    pause = threading.Event()
    while not os.listdir(pids) and thread.is_alive():
        pause.wait(0.01)
    pid = os.listdir(pids)[0]
    tried = subprocess.run(
        ["cat", f"/proc/{pid}/mem", f"/proc/{pid}/environ"],
        user=NOVA_ID,
        group=NOVA_ID,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    assert tried.returncode != 0 and tried.stdout == ""
    assert tried.stderr.count("Permission denied") == 2
    (pids / "go").write_text("")
    thread.join()
    os.close(inside)
    os.close(outside)


def _stay(place: str) -> None:
    with open(os.path.join(place, str(os.getpid())), "w"):
        pass
    pause = threading.Event()
    while not os.path.exists(os.path.join(place, "go")):
        pause.wait(0.01)
