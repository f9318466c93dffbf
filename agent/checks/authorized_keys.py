"""sshd accepts the key of every peer, and of this host itself, with options that let Nova work."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from agent.formats import authorized_keys, trust, user_key_files
from agent.formats.access import unseen
from agent.formats.authorized_keys import ACCEPTED
from agent.formats.closed import closed_directory
from agent.formats.ground import server_side
from agent.formats.user_key_files import KeyLists
from agent.formats.wording import line_numbers
from agent.model import (
    Account,
    Action,
    Check,
    Finding,
    NovaConfig,
    Record,
    Role,
    ServerConfig,
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

_SUBJECT = "authorized_keys"


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    image = "an image accepts no host yet: its clones would share the trust"
    found, nova = server_side(snapshot, want, _SUBJECT, image), snapshot.nova
    if isinstance(found, Finding):
        yield found
    elif isinstance(nova, Unreadable):
        yield skipped(_SUBJECT, "nova.conf cannot be read: see nova_config")
    else:
        account, server = found
        yield from _Look.at(snapshot, want, account, nova, server).findings()


@dataclass(frozen=True)
class _Look:
    snapshot: Snapshot
    want: Settings
    account: Account
    nova: NovaConfig
    server: ServerConfig
    lists: KeyLists
    wanted: trust.UserTrust
    fix: tuple[Action, ...]
    change: trust.Edit
    by_files: dict[tuple[str, ...], KeyLists]

    @classmethod
    def at(
        cls,
        snapshot: Snapshot,
        want: Settings,
        account: Account,
        nova: NovaConfig,
        server: ServerConfig,
    ) -> _Look:
        lists = KeyLists.of(snapshot, account, server)
        wanted = trust.user_trust(snapshot, nova, want.trust_from)
        target = user_key_files.writable(snapshot, account, lists)
        fix: tuple[Action, ...] = ()
        change = trust.Edit((), ())
        if target is not None and not _elsewhere(server, lists):
            change = user_key_files.edit(target, lists, wanted, snapshot.taken_at)
            fix = user_key_files.actions(snapshot, account, target, change)
        known = {server.words("authorizedkeysfile"): lists}
        return cls(snapshot, want, account, nova, server, lists, wanted, fix, change, known)

    @cached_property
    def added(self) -> frozenset[bytes]:
        return frozenset(self.change.present)

    def findings(self) -> Iterator[Finding]:
        yield from self._refused()
        yield self._somebody()
        for peer in self.snapshot.records.peers(self.nova.host):
            yield self._peer(peer)
        yield from self._own()
        yield from self._lines()

    def _refused(self) -> Iterator[Finding]:
        usable = self.lists.accept_somebody(self.snapshot.taken_at)
        for each in self.lists.lists:
            if each.denied and closed_directory(self.snapshot, self.account, each.path):
                text = f"not known: see strict_modes for the way to {each.path}"
                yield skipped(str(each.path), text)
            elif each.refused and each.denied and self.snapshot.host.privileged:
                say = warned if usable else failed
                yield say(str(each.path), "authorized_keys_unreadable", each.refused)
            elif each.refused:
                yield unknown(str(each.path), unseen(self.snapshot), each.refused)

    def _somebody(self) -> Finding:
        if self.lists.accept_somebody(self.snapshot.taken_at):
            return passed(_SUBJECT, f"sshd accepts keys for {self.account.name}")
        if self.server.one("usedns", "no") == "yes" and self.lists.name_addresses():
            # Only sshd, asking name service, can say whom a from="name" lets in.
            return skipped(_SUBJECT, "whom from= lets in is for name service to say (UseDNS yes)")
        if any(each.refused for each in self.lists.lists):
            return skipped(_SUBJECT, "whose key is accepted is not known: see the file named")
        text = f"nobody's key is accepted for {self.account.name}: {self._state_of_files()}"
        if _elsewhere(self.server, self.lists):
            return warned(_SUBJECT, "authorized_keys_elsewhere", f"{text}; {_ELSEWHERE}")
        return failed(_SUBJECT, "no_key_accepted", text, *self.fix)

    def _state_of_files(self) -> str:
        if not self.lists.lists:
            return "AuthorizedKeysFile is none"
        return ", ".join(
            f"{each.path} {'does not exist' if each.text is None else 'has no usable key'}"
            for each in self.lists.lists
        )

    def _peer(self, peer: Record) -> Finding:
        server = self.snapshot.server_for(peer.address)
        if peer.name in self.want.peers_ignore:
            return skipped(peer.name, "ignored by peers.ignore", peer=peer.name)
        if not peer.user_keys:
            return skipped(peer.name, f"the record {peer.path} names no user key", peer=peer.name)
        if not isinstance(server, ServerConfig):
            text = f"sshd cannot be asked about {peer.address}"
            return unknown(peer.name, unseen(self.snapshot), text, peer=peer.name)
        return self._judged(peer, server, self._lists(server))

    def _lists(self, server: ServerConfig) -> KeyLists:
        files = server.words("authorizedkeysfile")
        if files not in self.by_files:
            self.by_files[files] = KeyLists.of(self.snapshot, self.account, server)
        return self.by_files[files]

    def _judged(self, peer: Record, server: ServerConfig, lists: KeyLists) -> Finding:
        name, address = peer.name, trust.numeric(peer.address)
        path, answer = lists.best(peer.user_keys, address, self.snapshot.taken_at)
        if answer.state == ACCEPTED and answer.command is not None:
            text = f"{path}:{answer.line} forces {answer.command!r}, expected none or one that passes Nova's commands"
            return warned(name, "forced_command", text, peer=name)
        if answer.state == ACCEPTED:
            return passed(name, f"accepted by {path}:{answer.line}", peer=name)
        if self._unread(lists):
            return skipped(
                name,
                "whether its key is accepted is not known: no list of keys can be read",
                peer=name,
            )
        where = ", ".join(str(each.path) for each in lists.lists) or "AuthorizedKeysFile none"
        text = f"the key of {name} is not in {where}, expected there"
        if _elsewhere(server, lists):
            return warned(name, "authorized_keys_elsewhere", f"{text}; {_ELSEWHERE}", peer=name)
        if answer.state == "refused":
            text = f"{path}:{answer.line} refuses the key of {name}: {answer.reason}"
            finding = failed(name, "user_key_refused", text, *self._fix_for(peer), peer=name)
        else:
            fix = self._fix_for(peer)
            remedy = None if fix else self._by_hand(peer)
            finding = failed(name, "user_key_missing", text, *fix, peer=name, remedy=remedy)
        return replace(finding, side=Side.HERE)  # the list of codes speaks from the peer's view

    def _unread(self, lists: KeyLists) -> bool:
        """Whether all that is known is that the lists cannot be read, which another finding says."""
        refused = any(each.refused for each in lists.lists)
        return refused and not lists.accept_somebody(self.snapshot.taken_at)

    def _fix_for(self, peer: Record) -> tuple[Action, ...]:
        """The one action, if it does something for this peer."""
        return self.fix if self._wanted(peer) & self.added else ()

    def _wanted(self, peer: Record) -> set[bytes]:
        login = trust.login_of(peer)
        return {line for key in login.keys if (line := self.wanted.line(login, key)) is not None}

    def _by_hand(self, peer: Record) -> str:
        wanted = sorted(line.decode() for line in self._wanted(peer))
        if not wanted:
            return f"{peer.address} lies outside trust.from ({self.wanted.networks}): widen it, or correct the record"
        path = self.lists.lists[0].path if self.lists.lists else "the file sshd reads"
        return f"add to {path}: {' and '.join(wanted)}"

    def _own(self) -> Iterator[Finding]:
        keys = trust.own_keys(self.snapshot)
        if not keys:
            return
        address = trust.numeric(self.nova.address)
        _, answer = self.lists.best(keys, address, self.snapshot.taken_at)
        if answer.state == ACCEPTED:
            yield passed(self.nova.host, "this host's own key is accepted")
        elif not _elsewhere(self.server, self.lists) and not self._unread(self.lists):
            text = f"the key of {self.nova.host} itself is not accepted, expected for the self-dial"
            yield warned(self.nova.host, "own_key_missing", text, *self.fix)

    def _lines(self) -> Iterator[Finding]:
        if self.change.absent:
            text = (
                f"{len(self.change.absent)} lines of ours accept keys that no record names any more"
            )
            yield warned(_SUBJECT, "withdrawn_key", text, *self.fix)
        for path, numbers in self.lists.unrestricted().items():
            text = f"{len(numbers)} keys without restrict in {path}: {line_numbers(numbers)}"
            yield warned(str(path), "unrestricted_key", text)
        for each in self.lists.lists:
            numbers = authorized_keys.malformed(each.text or b"")
            if numbers:
                text = f"sshd skips {line_numbers(numbers)} of {each.path}"
                yield warned(str(each.path), "malformed_line", text)
            for name, entry in self.wanted.foreign_withdrawn(each.keys):
                text = (
                    f"{each.path}:{entry.number} still accepts a key of the withdrawn host {name}"
                )
                where = shlex.quote(str(each.path))
                remedy = f"sudo -u {self.account.name} sed -i '{entry.number}s/^/#/' {where}"
                yield warned(str(each.path), "withdrawn_key", text, peer=name, remedy=remedy)


_ELSEWHERE = "AuthorizedKeysCommand or a certificate authority may still accept it"


def _elsewhere(server: ServerConfig, lists: KeyLists) -> bool:
    """Whether keys may be accepted that stand in none of the files."""
    if any(server.one(k, "none") != "none" for k in ("authorizedkeyscommand", "trustedusercakeys")):
        return True
    return any(e.option("cert-authority") is not None for each in lists.keys for e in each.entries)


CHECK = Check(
    id="authorized_keys",
    role=Role.DESTINATION,
    summary="sshd accepts the key of every peer",
    why=(
        "The peer logs in with its own key. A key that is missing, or whose line has options that refuse it, ends the resize "
        "with the same words as twenty other faults."
    ),
    evaluate=evaluate,
    of_login=True,
)
