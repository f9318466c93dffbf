"""Nothing is trusted here that no record asks for: no wildcard host key, no key of nobody known."""

from __future__ import annotations

from collections.abc import Iterator

from agent.formats import host_key_files, known_hosts, matching, trust
from agent.formats.user_key_files import KeyList, KeyLists
from agent.formats.wording import line_numbers
from agent.model import (
    Account,
    Check,
    ClientConfig,
    Finding,
    NovaConfig,
    Role,
    ServerConfig,
    Snapshot,
    passed,
    skipped,
    warned,
)
from agent.settings import Settings

_SUBJECT = "trust"


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    account, client, server = (
        snapshot.account,
        snapshot.client_for(""),
        snapshot.server_for(""),
    )
    if not snapshot.host.live or not isinstance(account, Account):
        yield skipped(
            _SUBJECT, f"there is no live account {want.user} whose trust could be looked at"
        )
        return
    found: list[Finding] = []
    if isinstance(client, ClientConfig):
        found += _wildcards(snapshot, account, client)
    if isinstance(server, ServerConfig) and isinstance(snapshot.nova, NovaConfig):
        known = _keys_of_hosts(snapshot, snapshot.nova)
        there = snapshot.at_login()
        login = there.account if known else None
        if isinstance(login, Account):
            for each in KeyLists.of(there, login, server).lists:
                found += _surplus(each, known)
    yield from found
    if not found:
        yield passed(
            _SUBJECT, "no host key is for any name, and no key of nobody known is accepted"
        )


def _wildcards(snapshot: Snapshot, account: Account, client: ClientConfig) -> Iterator[Finding]:
    """A certificate authority is for many names by its nature, and a revocation may well be for all."""
    for path, text in host_key_files.view(snapshot, account, client).texts:
        wide = [
            entry.number
            for entry in known_hosts.parse(text)
            if not entry.marker and not entry.hashed and matching.is_wild(entry.patterns.encode())
        ]
        if wide:
            told = f"{path}: {line_numbers(wide)} vouch for every host of a pattern, expected names"
            yield warned(str(path), "wildcard_host_key", told)


def _keys_of_hosts(snapshot: Snapshot, nova: NovaConfig) -> frozenset[str]:
    """Of every host with a record and of this one; none where there are no peers to hold a list against."""
    peers = [key for record in snapshot.records.peers(nova.host) for key in record.user_keys]
    return (
        frozenset(key.line for key in (*peers, *trust.own_keys(snapshot))) if peers else frozenset()
    )


def _surplus(each: KeyList, known: frozenset[str]) -> Iterator[Finding]:
    """Lines of ours are withdrawn by a tombstone; these are somebody else's."""
    foreign = [
        entry.number
        for entry in each.keys.entries
        if not entry.problem and entry.owner is None and entry.key.line not in known
    ]
    if foreign:
        told = f"{each.path}: {line_numbers(foreign)} accept keys that no record names"
        yield warned(str(each.path), "surplus_key", told)


CHECK = Check(
    id="wide_trust",
    role=Role.BOTH,
    summary="Nothing is trusted that no record asks for",
    why=(
        "Whoever holds a key that is accepted here is nova here, and a host key for a pattern lets its holder pose as any "
        "peer of that pattern. Both outlive the reason they were added for."
    ),
    evaluate=evaluate,
)
