"""`make demo`: three compute hosts as Debian ships them, a resize that Nova cannot do, and the way to one that it can."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Iterable

from tests.lab import oracle
from tests.lab.fleet import Fleet
from tests.lab.host import Host, Result

NAMES = ("compute1", "compute2", "compute3")
PEERS = "/etc/resize-agent/peers.d"
BOLD = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
SAID = {
    "OK": "the disk arrived, and the qemu user can read it there",
    "R": "rolled back: the resize did not happen, and the user is not told why",
    "E-on": "guest in ERROR, still running",
    "E-off": "guest powered off, in ERROR",
    "L": "the disk of the guest is lost",
}


def main() -> int:
    if os.geteuid() != 0:
        print(
            "make demo builds hosts out of namespaces and mounts: run it as root", file=sys.stderr
        )
        return 2
    started = time.monotonic()
    with Fleet(list(NAMES)) as fleet:
        fleet.start_sshd()
        wrong = story(fleet)
    print(
        f"\n{6 - wrong} passed, {wrong} failed   (pairs at the end; {time.monotonic() - started:.0f} s)"
    )
    return 1 if wrong else 0


def story(fleet: Fleet) -> int:
    """The pairs that Nova's own code could not do at the end."""
    hosts = [fleet[name] for name in NAMES]
    chapter("Three compute hosts as Debian ships them: nova packages, sshd, one address each.")
    for host in hosts:
        print(f"   {host.name}  {host.address}")

    chapter(
        "A resize from compute1 to compute2, by Nova's own LibvirtDriver.migrate_disk_and_power_off:"
    )
    tell(oracle.migrate(fleet, "compute1", "compute2"))

    chapter("What does the agent say?")
    for host in hosts:
        show(host, "agent", host.agent(), lines=14 if host is hosts[0] else 3)

    chapter(
        "Each host writes its own record (public keys and the address Nova dials), and all get all."
    )
    hand_round(hosts)
    print("   agent facts > NAME.yaml on each, copied to " + PEERS + " on all")
    show(hosts[0], "agent", hosts[0].agent(), lines=3, only="host_key_unknown")

    chapter("Repair, one host after the other:")
    for host in hosts:
        show(host, "agent --fix", host.agent("--fix"), lines=None, only="done:")

    chapter(
        "Each has a key now, so the records are handed round once more, and the fix runs again:"
    )
    hand_round(hosts)
    for host in hosts:
        show(host, "agent --fix", host.agent("--fix"), lines=None, only="done:")

    chapter("The gate: exit status 0 means ready.")
    for host in hosts:
        show(host, "agent", host.agent(), lines=4)

    chapter("And Nova's own code, over every ordered pair:")
    outcomes = oracle.migrate_all(fleet)
    for outcome in outcomes.values():
        tell(outcome)
    return sum(1 for outcome in outcomes.values() if outcome.verdict != "OK")


def hand_round(hosts: Iterable[Host]) -> None:
    texts = {host.name: host.agent("facts").stdout for host in hosts}
    for host in hosts:
        host.sh(f"mkdir -p {PEERS}")
        for name, text in texts.items():
            host.write(f"{PEERS}/{name}.yaml", text)


def chapter(text: str) -> None:
    print("\n" + (f"\x1b[1m{text}\x1b[0m" if BOLD else text), flush=True)


def tell(outcome: oracle.Outcome) -> None:
    source, destination = outcome.pair
    said = SAID.get(outcome.verdict, outcome.verdict)
    print(f"   {source} -> {destination}: {outcome.verdict}: {said}", flush=True)
    why = [line for line in outcome.message.splitlines() if "Stderr" in line or "failed" in line]
    if outcome.verdict != "OK":
        for line in why[-1:]:
            print(textwrap.indent(textwrap.fill(line.strip(), 94), "      "))


def show(host: Host, command: str, result: Result, lines: int | None, only: str = "") -> None:
    """The command and its output, shortened: the first `lines`, then those with `only` in them."""
    print(f"   {host.name}# {command}")
    every = result.stdout.splitlines()
    shown = every if lines is None and not only else every[: lines or 0]
    shown = [*shown, *(line for line in every[len(shown) :] if only and only in line)]
    for line in shown:
        print(f"      {line}")
    if len(shown) < len(every):
        print(f"      ... ({len(every) - len(shown)} lines more)")
    print(f"      exit status {result.returncode}", flush=True)
    sys.stdout.write(textwrap.indent(result.stderr, "      "))


if __name__ == "__main__":
    sys.exit(main())
