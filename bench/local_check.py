"""One local check beside its floor and beside what would be used instead: an Ansible playbook with --check --diff, a shell loop.

Usage: python3 -m bench.local_check [ROUNDS]   (as root; builds two lab hosts, runs everything on one of them, in turns)
The floor: the interpreter with the imports a check needs, and the system's own programs it has to ask.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from agent.formats import record
from agent.model import Record
from bench import ground, others, single
from bench.charts import Bar, Bars
from bench.figures import (
    Case,
    Chart,
    Figures,
    Goal,
    Part,
    Spent,
    Table,
    cpu,
    number,
    over,
    peak,
    spread,
    wall,
)
from bench.meter import Failed, Job, interleaved
from bench.server import Server, of_children
from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host

FLOOR = """
python3 -c 'import yaml, argparse, json, psutil'
ssh-keygen -y -P '' -f /var/lib/nova/.ssh/id_ed25519 >/dev/null 2>&1
ssh -G 10.100.0.32 true >/dev/null
sshd=$(command -v sshd) && "$sshd" -T -C user=nova,host=x,addr=10.100.0.32,laddr=10.100.0.31,lport=22 >/dev/null
"""
PYTHON, BENEATH, OURS = "python3 -I -c pass", "the floor", "agent --no-probe"
LOOP = "shell loop"
ANSIBLE, LOCALLY = "Ansible, over ssh", "Ansible, connection local"
SIZES = (2, 1000)
GOAL_FLOOR, GOAL_ANSIBLE = 1.5, 30.0


def measure(rounds: int, sizes: Sequence[int] = SIZES) -> Figures:
    """A third of the rounds where there are many records, for the others take long then."""
    if others.missing():
        raise Failed(others.missing())
    with Fleet(["compute1", "compute2"], progress=single.quiet) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        host, control = fleet["compute1"], fleet["compute2"]
        ground.install(host)
        for each in fleet:
            others.install(each)
        others.make_control_node(control, host)
        real = [its_record(each) for each in fleet]
        return {
            str(size): case(host, control, size, real, max(2, rounds if size == 2 else rounds // 3))
            for size in sizes
        }


def its_record(host: Host) -> Record:
    told = host.agent("facts").stdout
    path = PurePosixPath(f"{ground.PEERS}/{host.name}.yaml")
    read = record.parse(path, told.encode())
    if not isinstance(read, Record):
        raise Failed(f"{host.name}: no record: {read}")
    return read


def case(host: Host, control: Host, size: int, real: list[Record], rounds: int) -> Case:
    peers = [*real, *ground.made_up(size - len(real))]
    others.tell(control, size, peers)
    trusted(host, size, peers)
    ours, theirs = from_state(host, f"ours{size}"), from_state(host, f"theirs{size}")
    server, options = Server(host), ("--check", "--diff")

    def elsewhere() -> float:
        """Of the managed host, and of the connection that outlives the play."""
        others.hang_up(control, host)
        return server.spent() + of_children(control, 1)

    over_ssh = others.play(size, *options, address=host.address)
    jobs = {
        PYTHON: Job("exec python3 -I -c pass"),
        BENEATH: Job(FLOOR),
        OURS: Job(f"{ground.AGENT} --no-probe", before=ours),
        LOOP: Job(others.loop(size), before=theirs),
        LOCALLY: Job(others.play(size, *options), before=theirs),
        ANSIBLE: Job(over_ssh, before=theirs, elsewhere=elsewhere, host=control),
    }
    return interleaved(host, jobs, rounds, f"local check, {size} records:")


def from_state(host: Host, name: str) -> Callable[[], None]:
    return lambda: ground.restore(host, name)


def trusted(host: Host, size: int, peers: list[Record]) -> None:
    """All is as it should be, once as the agent writes it and once as the playbook does."""
    ground.put_records(host, peers)
    others.tell(host, size, peers)
    ground.restore(host, "nothing")
    ground.fixed(host)
    ground.keep(host, f"ours{size}")
    ground.restore(host, "nothing")
    host.sh(others.play(size), timeout=ground.PATIENCE)
    again = host.sh(others.play(size, "--check"), timeout=ground.PATIENCE).stdout
    if "changed=0" not in again:
        raise Failed(f"the playbook is not done after one run:\n{again}")
    ground.keep(host, f"theirs{size}")


def part(figures: Figures) -> Part:
    few = figures["2"]
    to_floor = over(cpu(few[OURS]), cpu(few[BENEATH]))
    to_ansible, locally = (over(cpu(few[job]), cpu(few[OURS])) for job in (ANSIBLE, LOCALLY))
    goals = (
        Goal(
            f"2 records: at most {GOAL_FLOOR} times the CPU of the floor",
            f"{to_floor} times",
            to_floor.median <= GOAL_FLOOR,
            "importing the program's own modules costs more than the floor, and a look forks children that see files as nova does; see *Why not 1.5* below",
        ),
        Goal(
            f"2 records: at least {GOAL_ANSIBLE:.0f} times less CPU than the playbook",
            f"{to_ansible} times less; {locally} where the playbook pays for no login",
            to_ansible.median >= GOAL_ANSIBLE,
            "the playbook is as cheap as it can be written (no facts, one task for all peers, pipelining), and of a check that takes three floors one is the floor",
        ),
    )
    return Part(
        "One local check",
        "`agent --no-probe` where all is as it should be, against the floor of any check in Python, and against a shell loop and an"
        " Ansible playbook with `--check --diff` that look at the same things (login shell, home, modes, key pair, each peer's key in"
        " authorized_keys and in known_hosts, instances directory, what sshd would say). How many times the floor each takes:",
        (Table(("records", "", "CPU", "clock", "programs and threads", "peak memory, of the floor"), rows(figures)),),
        goals,
        (chart(figures),),
        "The playbook is `bench/others/check.yml`: ansible-core, facts not gathered, the interpreter named, pipelining. It is run over"
        " ssh from a control node, as sites do (one connection for all tasks; its CPU is that of both ends, its programs those of the"
        " control node), and with `connection: local`, where no login is paid for. The loop is `bench/others/check.sh`, a `grep` and an"
        " `ssh-keygen -F` a peer. Both are run where their last run changed nothing. The floor is a Python with the imports a check"
        " needs, one `sshd -T -C`, one `ssh -G` and one `ssh-keygen -y`.",
    )  # fmt: skip


def rows(figures: Figures) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            count,
            f"**{name}**" if name == OURS else name,
            str(over(cpu(runs), cpu(jobs[BENEATH]))),
            str(over(wall(runs), wall(jobs[BENEATH]))),
            f"{spread(run.counted['started'] for run in runs).median:.0f}",
            number(peak(runs) / peak(jobs[BENEATH])),
        )
        for count, jobs in figures.items()
        for name, runs in jobs.items()
    )


def chart(figures: Figures) -> Chart:
    groups = tuple(
        (
            f"{count} peer records",
            tuple(bar(name, runs, jobs) for name, runs in jobs.items() if name != BENEATH),
        )
        for count, jobs in figures.items()
    )
    words = "CPU of one local check, as a multiple of the floor, for 2 and 1000 records"
    title = "One local check: CPU, the floor is 1"
    return Chart(
        "local-check", words, Bars(title, "times the floor (logarithmic)", groups, logarithmic=True)
    )


def bar(name: str, runs: list[Spent], jobs: Case) -> Bar:
    seen = over(cpu(runs), cpu(jobs[BENEATH]))
    return Bar(name, seen.low, seen.median, seen.high, ours=name == OURS)


if __name__ == "__main__":
    sys.exit(single.run(measure, part, 15))
