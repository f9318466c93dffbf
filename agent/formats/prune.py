"""Withdrawing trust that no record vouches for any more, asked for by name (`--prune`) and guarded.

A record that is missing withdraws nothing by itself: it may have been lost on the way, with all the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from agent.formats import host_key_files, trust, user_key_files
from agent.formats.user_key_files import KeyLists
from agent.model import Account, ClientConfig, NovaConfig, Record, ServerConfig, Snapshot

_TOLD = 10  # names in one sentence


class Guarded(ValueError):
    """Nothing is withdrawn; `args[0]` says what stands in the way."""


def pruned(snapshot: Snapshot, percent: float) -> Snapshot:
    """As if every host that our own lines trust and no record speaks of had a tombstone.

    Raises Guarded where the records are not sound, or where more than `percent` of the hosts that are trusted would go
    (one may always go).
    """
    nova, account = snapshot.nova, snapshot.account
    if not (snapshot.host.live and isinstance(nova, NovaConfig) and isinstance(account, Account)):
        raise Guarded("--prune: whom this host trusts is not known")
    _refuse_unsound(snapshot, nova)
    services = {nova.host, *(record.name for record in snapshot.records.peers(nova.host))}
    trusted = tuple(_trusted(snapshot, account))
    kept = {name for names in trusted for name in names & services} - {nova.host}
    vouched = _vouched(snapshot, nova)
    gone = _joined(names - vouched for names in trusted if not names & services)
    if len(gone) > max(1.0, (len(gone) + len(kept)) * percent / 100):
        told = ", ".join(sorted(map(_shortest, gone))[:_TOLD])
        share = f"{len(gone)} of {len(gone) + len(kept)} hosts"
        raise Guarded(f"--prune would withdraw the trust in {share}, over {percent:g} %: {told}")
    stones = (Record(n, False, PurePosixPath("--prune")) for n in sorted(set().union(*gone)))
    records = replace(snapshot.records, records=(*snapshot.records.records, *stones))
    return replace(snapshot, records=records)


def _refuse_unsound(snapshot: Snapshot, nova: NovaConfig) -> None:
    """A record that cannot be used may be the one that vouches."""
    for problem in snapshot.records.problems:
        raise Guarded(f"--prune needs sound records: {problem.where}: {problem.message}")
    if not snapshot.records.peers(nova.host):
        raise Guarded("--prune needs the records of the hosts that stay, and there is none")


def _vouched(snapshot: Snapshot, nova: NovaConfig) -> frozenset[str]:
    """Every name and address that a record, or this host itself, goes by."""
    names = [nova.address, nova.host, *snapshot.host.names]
    for record in snapshot.records.peers(nova.host):
        names += [record.address, record.name, *record.names]
    return frozenset(map(trust.bare, trust.lookup_names(names, 22)))


def _trusted(snapshot: Snapshot, account: Account) -> Iterator[frozenset[str]]:
    """The names each line of ours trusts."""
    client, server = snapshot.client_for(""), snapshot.server_for("")
    if isinstance(client, ClientConfig):
        for entry in host_key_files.written(snapshot, account, client):
            yield frozenset(map(trust.bare, entry.patterns.split(",")))
    if isinstance(server, ServerConfig):
        lists = KeyLists.of(snapshot, account, server)
        target = user_key_files.writable(snapshot, account, lists)
        entries = target.keys.entries if target is not None else ()
        yield from (frozenset({entry.owner}) for entry in entries if entry.owner)


def _joined(lines: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Hosts: lines that share a name speak of one."""
    hosts: list[frozenset[str]] = []
    for names in filter(None, lines):
        same = [host for host in hosts if host & names]
        hosts = [host for host in hosts if not host & names]
        hosts.append(names.union(*same))
    return hosts


def _shortest(names: frozenset[str]) -> str:
    """What a person calls the host: no address where it has a name."""
    return min(names, key=lambda name: (not name[0].isalpha(), len(name), name))
