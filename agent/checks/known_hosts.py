"""ssh knows the host key of every peer, under the address and the names Nova dials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple, Optional

from agent.formats import host_key_files, host_key_verdict, known_hosts
from agent.formats.access import unseen
from agent.formats.closed import closed_directory, describe, handed_back
from agent.formats.ground import client_side
from agent.formats.host_key_files import Refused, View
from agent.formats.trust import HostTrust, host_trust, lookup_names
from agent.formats.wording import line_numbers
from agent.model import (
    Account,
    Action,
    Check,
    ClientConfig,
    Finding,
    NovaConfig,
    Outcome,
    Record,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.reasons import Side
from agent.settings import Settings

_SUBJECT = "known_hosts"
_WRITE_AGAIN = "have the host named write its record again: agent facts"
_LENIENT = ("no", "off", "false")
_REASONS = {
    host_key_verdict.UNKNOWN: "host_key_unknown",
    host_key_verdict.CHANGED: "host_key_changed",
    host_key_verdict.REVOKED_KEY: "host_key_revoked",
}


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    image = "an image knows no host yet: its clones would share the trust"
    found, nova = client_side(snapshot, want, _SUBJECT, image), snapshot.nova
    if isinstance(found, Finding):
        yield found
    elif isinstance(nova, Unreadable):
        yield skipped(_SUBJECT, "nova.conf cannot be read: see nova_config")
    else:
        account, client = found
        yield from _Look.at(snapshot, want, account, nova, client).findings()


class _Asked(NamedTuple):
    """What one answer of `ssh -G` comes to.  `closed`: a directory on the way to one of its files keeps nova out."""

    view: View
    algorithms: tuple[str, ...]
    port: int
    closed: bool

    def verdict(self, name: str, peer: Record) -> host_key_verdict.HostKeyVerdict:
        return host_key_verdict.verdict(self.view.known, name, peer.host_keys, self.algorithms)


class _Look(NamedTuple):
    snapshot: Snapshot
    want: Settings
    account: Account
    nova: NovaConfig
    client: ClientConfig
    trust: HostTrust
    fix: tuple[Action, ...]
    asked: dict[int, _Asked]

    @classmethod
    def at(
        cls,
        snapshot: Snapshot,
        want: Settings,
        account: Account,
        nova: NovaConfig,
        client: ClientConfig,
    ) -> _Look:
        trust = host_trust(snapshot, nova)
        fix = host_key_files.actions(snapshot, account, client, want.known_hosts, trust)
        return cls(snapshot, want, account, nova, client, trust, fix, {})

    def findings(self) -> Iterator[Finding]:
        peers = self.snapshot.records.peers(self.nova.host)
        about_peers = [finding for peer in peers for finding in self._peer(peer)]
        missed = any(
            f.reason in _REASONS.values() or f.outcome is Outcome.SKIP for f in about_peers
        )
        yield from self._files(missed)
        yield from about_peers
        yield from self._stale(peers)

    def _ask(self, client: ClientConfig) -> _Asked:
        if id(client) not in self.asked:  # the snapshot keeps it, so nothing else gets its id
            view = host_key_files.view(self.snapshot, self.account, client)
            closed = any(map(self._closed, view.refused))
            algorithms = tuple(client.one("hostkeyalgorithms").split(","))
            self.asked[id(client)] = _Asked(view, algorithms, _port(client), closed)
        return self.asked[id(client)]

    def _peer(self, peer: Record) -> Iterator[Finding]:
        client = self.snapshot.client_for(peer.address)
        if peer.name in self.want.peers_ignore:
            yield skipped(peer.name, "ignored by peers.ignore", peer=peer.name)
        elif not isinstance(client, ClientConfig):
            text = f"ssh cannot be asked about {peer.address}"
            yield unknown(peer.name, "not_observed", text, peer=peer.name)
        elif not peer.host_keys:
            text = f"the record {peer.path} names no host key"
            finding = unknown(peer.name, "not_observed", text, peer=peer.name)
            yield replace(finding, side=Side.INVENTORY, remedy=_WRITE_AGAIN)
        else:
            asked = self._ask(client)
            yield self._address(peer, client, asked)
            yield from self._names(peer, asked)

    def _address(self, peer: Record, client: ClientConfig, asked: _Asked) -> Finding:
        name = _dialled(self.snapshot, client, peer.address)
        said = asked.verdict(name, peer)
        if said.state == host_key_verdict.KNOWN:
            return passed(peer.name, f"{name} is known by {said.file}:{said.line}", peer=peer.name)
        if said.state == host_key_verdict.CA_ONLY:
            text = (
                f"{name} is vouched for by a certificate authority only, which a dial has to show"
            )
            return unknown(peer.name, "not_observed", text, peer=peer.name)
        if said.state == host_key_verdict.UNKNOWN and asked.closed:
            text = f"whether {name} is known cannot be seen while its file is closed to nova"
            return skipped(peer.name, text, peer=peer.name)
        reason = _REASONS[said.state]
        if said.state == host_key_verdict.UNKNOWN and not said.key_type:
            reason = "host_key_algorithms"
        strict = client.one("stricthostkeychecking", "ask")
        lenient = strict in _LENIENT or (strict == "accept-new" and reason == "host_key_unknown")
        elsewhere = client.one("knownhostscommand", "none") != "none"
        say = warned if lenient or (elsewhere and reason == "host_key_unknown") else failed
        ours = lookup_names((peer.address, peer.name, *peer.names), _port(client))
        # What an alias or a Hostname of the site's makes of the address is no name that we would write.
        mended = name in ours and reason in ("host_key_unknown", "host_key_changed")
        fix = self.fix if mended else ()
        remedy = None if fix or reason != "host_key_unknown" else _by_hand(name, peer)
        told = _told(name, reason, said, peer)
        return say(peer.name, reason, told, *fix, peer=peer.name, remedy=remedy)

    def _names(self, peer: Record, asked: _Asked) -> Iterator[Finding]:
        names = lookup_names((peer.name, *peer.names), asked.port)
        lacking = [n for n in names if asked.verdict(n, peer).state == host_key_verdict.UNKNOWN]
        if lacking and not asked.closed:
            text = f"no line for {', '.join(lacking)}, expected one for each name of {peer.name}"
            remedy = None if self.fix else _by_hand(",".join(lacking), peer)
            yield warned(
                peer.name, "host_key_name_unknown", text, *self.fix, peer=peer.name, remedy=remedy
            )

    def _files(self, missed: bool) -> Iterator[Finding]:
        view = self._ask(self.client).view
        told: set[PurePosixPath] = set()
        for refused in view.refused:
            subject = str(refused.path)
            closed = self._closed(refused)
            if closed is not None:
                yield from self._told_once(closed, told, missed=missed)
                continue
            if not refused.denied or not self.snapshot.host.privileged:
                yield unknown(subject, unseen(self.snapshot), refused.why)
                continue
            # ssh takes the file for empty: that hurts where no other one knows the peers.
            say = failed if missed else warned
            yield say(subject, "known_hosts_unreadable", refused.why)
        for path, numbers in host_key_files.unreadable_lines(view, self.account):
            text = f"ssh skips {line_numbers(numbers)} of {path}"
            yield warned(str(path), "malformed_line", text)
        yield self._ours()

    def _closed(self, refused: Refused) -> Optional[PurePosixPath]:
        if not refused.denied:
            return None
        return closed_directory(self.snapshot, self.account, refused.path)

    def _told_once(
        self, closed: PurePosixPath, told: set[PurePosixPath], *, missed: bool
    ) -> Iterator[Finding]:
        if closed in told:
            return
        told.add(closed)
        keys = [i.path for i in self.snapshot.identities]
        if keys and all(
            closed_directory(self.snapshot, self.account, path) == closed for path in keys
        ):
            yield skipped(str(closed), "closed to nova: see identity")
            return
        say = failed if missed else warned
        text = describe(self.snapshot, self.account, closed)
        fix = handed_back(self.snapshot, self.account, closed, self.snapshot.file(closed))
        yield say(str(closed), "known_hosts_unreadable", text, *fix)

    def _ours(self) -> Finding:
        if not host_key_files.exists(self.snapshot, self.account, self.client):
            return skipped(_SUBJECT, "the agent has written no host keys here")
        if not self.fix:
            return passed(_SUBJECT, "the host keys written by the agent are those of the records")
        text = "the host keys written by the agent are not those the records name now"
        return warned(_SUBJECT, "known_hosts_outdated", text, *self.fix)

    def _stale(self, peers: tuple[Record, ...]) -> Iterator[Finding]:
        asked, told = self._ask(self.client), set()
        gone = self.snapshot.records.withdrawn(self.nova.host)
        for record in (*peers, *gone):
            if record.present and not record.host_keys:
                continue
            claims = lookup_names((record.address, record.name, *record.names), asked.port)
            for name, file, entry in host_key_files.stale(
                asked.view.known, claims, record.host_keys
            ):
                if (file, entry.number) in told:
                    continue
                told.add((file, entry.number))
                whose = "an old" if record.present else "the withdrawn host's"
                text = f"{file}:{entry.number} trusts {whose} {entry.key.type} key for {name}"
                remedy = host_key_files.command(self.account, name, file, entry)
                yield warned(file, "withdrawn_key", text, peer=record.name, remedy=remedy)


def _dialled(snapshot: Snapshot, client: ClientConfig, address: str) -> str:
    """What ssh looks up: HostKeyAlias as it stands, else what Hostname makes of the address, with the port."""
    alias = client.one("hostkeyalias", "none")
    if alias != "none":
        return alias.lower()
    asked = address in snapshot.client  # the answer for any address was asked with another one
    hostname = client.one("hostname", address) if asked else address
    return known_hosts.lookup_name(hostname, _port(client))


def _by_hand(name: str, peer: Record) -> str:
    """Where nothing that ssh reads is ours to write in."""
    line = known_hosts.entry_line(name.split(","), peer.host_keys[0]).decode()
    return f"add to a known_hosts file that ssh reads for nova: {line}"


def _port(client: ClientConfig) -> int:
    text = client.one("port", "22")
    return int(text) if text.isdigit() else known_hosts.SSH_PORT


def _told(name: str, reason: str, said: host_key_verdict.HostKeyVerdict, peer: Record) -> str:
    where = f"{said.file}:{said.line}"
    port = "" if peer.port == 22 or name.endswith(f":{peer.port}") else f" (its sshd: {peer.port})"
    return {
        "host_key_unknown": f"{name}{port} is not in any known_hosts file, expected its host key",
        "host_key_changed": f"{where} has another {said.key_type} key for {name}, expected its record's",
        "host_key_revoked": f"{where} marks the host key of {name} @revoked, expected it trusted",
        "host_key_algorithms": f"ssh accepts no host key type that {name} has, expected one in common",
    }[reason]


CHECK = Check(
    id="known_hosts",
    role=Role.SOURCE,
    summary="ssh knows the host key of every peer",
    why=(
        "Nova's ssh cannot ask anybody whether a host key is genuine: an unknown or changed one ends the resize. Only the "
        "peer's own record is taken for the truth."
    ),
    evaluate=evaluate,
)
