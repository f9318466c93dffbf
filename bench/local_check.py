"""CPU of one local check beside its floor: the interpreter with the imports it needs, and the system tools it has to call.

Usage: python3 -m bench.local_check [ROUNDS]   (as root; builds one lab host, runs both there, interleaved)
Prints medians and the ratio; the absolute figures are those of the machine at hand.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
from collections.abc import Callable

from tests.lab import setup_by_hand
from tests.lab.fleet import Fleet
from tests.lab.host import Host

INSTALLED = "/opt/resize-agent"
FLOOR = """
python3 -c 'import yaml, argparse, json, psutil'
ssh-keygen -y -P '' -f /var/lib/nova/.ssh/id_ed25519 >/dev/null 2>&1
ssh -G 10.100.0.32 true >/dev/null
sshd=$(command -v sshd) && "$sshd" -T -C user=nova,host=x,addr=10.100.0.32,laddr=10.100.0.31,lport=22 >/dev/null
"""


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    if os.geteuid() != 0:
        print("bench: a lab host needs root", file=sys.stderr)
        return 2
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        setup_by_hand.key_per_host(fleet)
        facts = {host.name: host.agent("facts").stdout for host in fleet}
        one = fleet["compute1"]
        one.sh("mkdir -p /etc/resize-agent/peers.d")
        for name, text in facts.items():
            one.write(f"/etc/resize-agent/peers.d/{name}.yaml", text)
        # As a package leaves it: byte code beside the modules.
        one.sh(f"mkdir -p {INSTALLED} && cp -r /usr/share/resize-agent/agent {INSTALLED}")
        one.sh(
            f"find {INSTALLED} -name __pycache__ -exec rm -r {{}} +; python3 -m compileall -q {INSTALLED}"
        )
        measured = interleaved(one, rounds)
    report(measured, rounds)
    return 0


def interleaved(host: Host, rounds: int) -> dict[str, list[float]]:
    """CPU seconds (user and system, children included) of each, round by round."""
    jobs: dict[str, Callable[[], object]] = {
        "floor": lambda: host.sh(FLOOR),
        "nothing (entering the host)": lambda: host.sh("true"),
        "agent --no-probe": lambda: host.sh(
            f"cd {INSTALLED} && python3 -m agent --no-probe >/dev/null || true"
        ),
    }
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            job()
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if turn:  # the first warms caches
                found[name].append(spent)
    return found


def report(measured: dict[str, list[float]], rounds: int) -> None:
    entering = statistics.median(measured["nothing (entering the host)"])
    print(
        f"CPU of one run, median of {rounds}, without the {entering * 1000:.0f} ms of entering the host:"
    )
    net = {}
    for name in ("floor", "agent --no-probe"):
        values = sorted(value - entering for value in measured[name])
        net[name] = statistics.median(values)
        spread = f"{values[0] * 1000:.0f} .. {values[-1] * 1000:.0f}"
        print(f"  {name:<18} {net[name] * 1000:6.0f} ms   ({spread})")
    print(f"  ratio              {net['agent --no-probe'] / net['floor']:6.2f}")


if __name__ == "__main__":
    sys.exit(main())
