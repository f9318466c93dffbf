"""ssh, people, a configuration manager, usermod and another agent at the same files while `--fix` works on them."""

from __future__ import annotations

import collections
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.ground import FIX, FOREIGN_KNOWN, Ground, changed, ground, raw, record
from tests.lab.host import Host, end
from tests.lab.provision import AUTHORIZED_KEYS, KNOWN_HOSTS, NOVA_HOME, agent, put_record

pytestmark = pytest.mark.lab

WRITERS = Path(__file__).with_name("writers.py")
ROUNDS = 6
"""Of `--fix`, each with records that ask for other lines than the one before."""
AN_UPDATE = (
    f"setpriv --reuid nova --regid nova --clear-groups env HOME={NOVA_HOME}"
    f" python3 /root/writers.py update {KNOWN_HOSTS} theirs </dev/null"
)
STATIC = b"".join(b"static-%d.example.org ssh-ed25519 AAAA%d\n" % (n, n) for n in range(400))


@pytest.fixture(scope="module")
def host() -> Iterator[Ground]:
    with ground(in_novas_own_file) as stand:
        stand.host.write("/root/writers.py", WRITERS.read_bytes())
        stand.host.sh("chmod 755 /root; chmod 644 /root/writers.py")
        yield stand


@pytest.fixture(scope="module")
def drifted() -> Iterator[Ground]:
    """Lines of ours are to be withdrawn here, and others added."""
    with ground(changed) as stand:
        stand.host.write("/root/writers.py", WRITERS.read_bytes())
        stand.host.sh("chmod 755 /root; chmod 644 /root/writers.py")
        yield stand


def in_novas_own_file(machine: Host) -> None:
    raw(machine)
    machine.sh("mkdir -p /etc/resize-agent")
    machine.write("/etc/resize-agent/agent.yaml", "known_hosts: user\n")
    # ssh before 9.3 would join its line to a last one that nobody ended, whoever else is at work
    machine.sh(f"echo >>{KNOWN_HOSTS}; echo >>{AUTHORIZED_KEYS}")


@contextmanager
def at_work(
    machine: Host, kind: str, path: str, name: str, *, user: str = "nova"
) -> Iterator[list[bytes]]:
    """Afterwards the list holds what the writer had to say of its work."""
    argv = ["/usr/bin/python3", "/root/writers.py", kind, path, name]
    process = machine.spawn(argv, user=user, env={"HOME": NOVA_HOME}, stdin=subprocess.PIPE)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"at work\n"
    told: list[bytes] = []
    try:
        yield told
        process.stdin.close()
        assert process.wait(120) == 0, process.stderr and process.stderr.read()
        told += process.stdout.read().splitlines()
    finally:
        end(process)


def fixes(machine: Host, rounds: int = ROUNDS) -> list[str]:
    """Results of all steps; every round withdraws the lines of the one before."""
    results = []
    for number in range(rounds):
        put_record(machine, "compute2", record("compute2", 32, keys=f" {number}"))
        run = agent(machine, *FIX)
        assert run.status in (0, 1), run
        results += [result for _, _, result in run.applied]
        assert run.status == 0 or results[-1] != "done", run
    return results


def settled(machine: Host) -> None:
    """Whatever was stale is done once nobody disturbs."""
    last = agent(machine, *FIX)
    assert (last.status, last.steps) == (0, []), last
    for path in (KNOWN_HOSTS, AUTHORIZED_KEYS):
        owner = machine.sh(f"stat -c '%U:%G %a' {path}").stdout.strip()
        assert owner == "nova:nova 600", (path, owner)


def names(text: bytes) -> list[bytes]:
    return [line.split(b" ")[0] for line in text.split(b"\n") if line]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(KNOWN_HOSTS, id="known_hosts"),
        pytest.param(AUTHORIZED_KEYS, id="authorized_keys", marks=pytest.mark.slow),
    ],
)
def test_of_1600_lines_that_others_append_none_is_lost(host: Ground, path: str) -> None:
    machine = host.restore()
    writers = [f"writer{number}" for number in range(4)]
    with ThreadPoolExecutor(len(writers)) as pool:

        def work(name: str) -> None:
            with at_work(machine, "append", path, name):
                pass

        working = [pool.submit(work, name) for name in writers]
        results: list[str] = []
        while not all(each.done() for each in working):
            results += fixes(machine, 2)
        for each in working:
            each.result()
    found = names(machine.read(path))
    for name in writers:
        mine = [each for each in found if each.startswith(name.encode())]
        assert mine == [b"%s-%d" % (name.encode(), number) for number in range(400)]
    assert machine.read(path).startswith(host.before.texts[path])
    assert "done" in results
    settled(machine)


@pytest.mark.slow
def test_hosts_that_ssh_itself_meets_meanwhile_are_all_remembered(host: Ground) -> None:
    machine = host.restore()
    with at_work(machine, "ssh", KNOWN_HOSTS, "met"):
        fixes(machine)
    found = names(machine.read(KNOWN_HOSTS))
    assert [n for n in found if n.startswith(b"met-")] == [b"met-%d" % n for n in range(30)]
    settled(machine)


@pytest.mark.parametrize("kind", ["rename", pytest.param("keygen", marks=pytest.mark.slow)])
def test_who_replaces_the_file_meanwhile_costs_no_line(host: Ground, kind: str) -> None:
    machine = host.restore()
    foreign = host.before.texts[KNOWN_HOSTS] + STATIC
    machine.write(KNOWN_HOSTS, foreign)
    with at_work(machine, kind, KNOWN_HOSTS, "theirs"):
        results = fixes(machine)
    assert set(results) <= {"done", "stale"}, results
    text = machine.read(KNOWN_HOSTS)
    kept = [line for line in text.split(b"\n") if line in set(foreign.split(b"\n")) and line]
    assert kept == [line for line in foreign.split(b"\n") if line]
    # of the one who replaces by editing there is something to see
    assert kind == "rename" or any(name.startswith(b"theirs") for name in names(text))
    settled(machine)


@pytest.mark.slow
def test_an_ssh_that_rewrites_the_file_meanwhile_costs_no_line(host: Ground) -> None:
    """UpdateHostKeys: ssh reads the whole file, writes another beside it and renames."""
    machine = host.restore()
    foreign = host.before.texts[KNOWN_HOSTS] + STATIC
    machine.write(KNOWN_HOSTS, foreign)
    results: list[str] = []
    with at_work(machine, "update", KNOWN_HOSTS, "theirs") as told:
        for _ in range(5):
            results += fixes(machine)
    text = machine.read(KNOWN_HOSTS)
    print(f"{told} rewrites by ssh, {collections.Counter(results)}")
    assert int(told[0]) >= ROUNDS
    assert set(results) <= {"done", "stale"} and "done" in results, results
    kept = [line for line in text.split(b"\n") if line in set(foreign.split(b"\n")) and line]
    assert kept == [line for line in foreign.split(b"\n") if line]
    assert names(text).count(b"theirs") == 2, "the server's first key, and the last it was given"
    settled(machine)


@pytest.mark.slow
def test_ssh_may_rewrite_the_file_at_any_moment_of_an_edit(drifted: Ground) -> None:
    """At each call of `--fix` that is about the file ssh replaces it once; the next run does what went with the old one."""
    edit = [n for n, point in enumerate(drifted.points) if point.endswith(f" {KNOWN_HOSTS}")]
    assert any("pwrite64" in drifted.points[n] for n in edit), "it withdraws and appends"
    machine = drifted.host
    for point in edit:
        run = drifted.driven(point, f"sh:{AN_UPDATE} >/run/told")
        assert run.status in (0, 1), (drifted.points[point], run)
        assert machine.read("/run/told") == b"at work\n1\n"
        met = _of_theirs(machine.read(KNOWN_HOSTS))
        assert len(met) == 2, (
            drifted.points[point],
            "the server's first key, and the one it was given",
        )
        settled(machine)
        text = machine.read(KNOWN_HOSTS)
        assert text.startswith(FOREIGN_KNOWN), (drifted.points[point], text)
        assert _of_theirs(text) == met, (drifted.points[point], text)
        others = sorted(line for line in _live(text) if line not in met)
        assert others == sorted(_live(drifted.after.texts[KNOWN_HOSTS])), drifted.points[point]
    print(f"ssh rewrote the file at {len(edit)} calls")


def _live(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line and line[:1] != b"#"]


def _of_theirs(text: bytes) -> list[bytes]:
    return [line for line in _live(text) if line.startswith(b"theirs ")]


@pytest.mark.slow
def test_a_usermod_meanwhile_and_ours_both_count(host: Ground) -> None:
    machine = host.restore()
    with at_work(machine, "usermod", "-", "by hand", user="root"):
        for _ in range(ROUNDS):
            run = agent(machine, *FIX)
            assert run.status in (0, 1), run
            machine.sh("usermod --shell /bin/false nova", check=False)
    settled(machine)
    entry = machine.sh("getent passwd nova").stdout.strip().split(":")
    assert (entry[4], entry[6]) == (machine.read("/run/comment").decode(), "/bin/bash")
    assert machine.sh("pwck -r; grpck -r", check=False).stdout in host.before.accounts


def test_of_two_agents_one_works_and_the_other_says_so(host: Ground) -> None:
    machine = host.restore()
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            put_record(machine, "compute2", record("compute2", 32, keys=f" {number}"))
            runs = list(pool.map(lambda _: machine.agent(*FIX, "--format", "json"), range(2)))
            assert {run.returncode for run in runs} <= {0, 5}, runs
            assert 0 in {run.returncode for run in runs}, runs
            assert all("held by another" in run.stderr for run in runs if run.returncode == 5)
    settled(machine)
    keys = [line for line in machine.read(AUTHORIZED_KEYS).splitlines() if line[:1] != b"#"]
    assert len(keys) == len(set(keys))
