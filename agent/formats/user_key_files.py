"""The key lists that sshd reads for nova, and what makes the one we may write in accept the right keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple, Optional

from agent.formats import lines, places
from agent.formats.access import READ, is_denied, is_direct, may
from agent.formats.authorized_keys import Answer, AuthorizedKeys, refuses
from agent.formats.trust import Edit, UserTrust, accepts
from agent.model import (
    Absent,
    Account,
    Action,
    File,
    HaveLines,
    Kind,
    MakeDirectory,
    PublicKey,
    ServerConfig,
    Snapshot,
    Unreadable,
)


class KeyList(NamedTuple):
    """One file.  `refused` says why nova, and so sshd, cannot read it; `denied` that it is nova who may not."""

    path: PurePosixPath
    text: Optional[bytes]
    keys: AuthorizedKeys
    refused: str = ""
    denied: bool = False


def read(snapshot: Snapshot, account: Account, path: PurePosixPath) -> KeyList:
    seen, nothing = snapshot.file(path), KeyList(path, None, AuthorizedKeys(()))
    if isinstance(seen, Absent):
        return nothing
    if isinstance(seen, Unreadable):
        return nothing._replace(refused=seen.reason, denied=is_denied(seen))
    if seen.kind is not Kind.FILE or not may(account, READ, seen):
        told = f"is a {seen.kind.value}, owner {seen.uid}, mode {seen.mode:04o}"
        return nothing._replace(
            refused=f"{told}, expected readable for {account.name}", denied=True
        )
    if seen.content is None:
        return nothing._replace(refused=f"{path} was not read")
    return KeyList(path, seen.content, _index(seen.content))


@lru_cache(maxsize=4)  # for several checks, and for a daemon while nothing changes
def _index(text: bytes) -> AuthorizedKeys:
    return AuthorizedKeys.of(text)


class KeyLists(NamedTuple):
    """The files of one AuthorizedKeysFile, in sshd's order."""

    lists: tuple[KeyList, ...]

    @classmethod
    def of(cls, snapshot: Snapshot, account: Account, server: ServerConfig) -> KeyLists:
        paths = dict.fromkeys(places.authorized_keys(server, account))
        return cls(tuple(read(snapshot, account, path) for path in paths))

    @property
    def keys(self) -> tuple[AuthorizedKeys, ...]:
        return tuple(each.keys for each in self.lists)

    def best(self, keys: Sequence[PublicKey], address: str, now: datetime) -> tuple[str, Answer]:
        """The file and answer for the first key that is accepted, else for the first that is refused."""
        answers = [
            (str(each.path), each.keys.accepts(key, address, now))
            for key in keys
            for each in self.lists
        ]
        for state in ("accepted", "refused"):
            for path, answer in answers:
                if answer.state == state:
                    return path, answer
        return "", Answer("missing")

    def accept_somebody(self, now: datetime) -> bool:
        return any(not refuses(e, "", now) for each in self.keys for e in each.entries)

    def name_addresses(self) -> bool:
        """Whether some line says from= which addresses or names it is for."""
        return any(e.option("from") is not None for each in self.keys for e in each.entries)

    def unrestricted(self) -> dict[PurePosixPath, tuple[int, ...]]:
        """Numbers of foreign lines that leave forwarding and the rest open."""
        found = {
            each.path: tuple(
                e.number
                for e in each.keys.entries
                if e.option("restrict") is None and not e.problem and e.owner is None
            )
            for each in self.lists
        }
        return {path: numbers for path, numbers in found.items() if numbers}


def own_key_accepted(
    snapshot: Snapshot,
    account: Account,
    server: ServerConfig,
    keys: Sequence[PublicKey],
    address: str,
) -> bool:
    lists = KeyLists.of(snapshot, account, server)
    now = snapshot.taken_at
    return any(accepts(lists.keys, key, address, now).state == "accepted" for key in keys)


def own_line_forces(
    snapshot: Snapshot,
    account: Account,
    server: ServerConfig,
    keys: Sequence[PublicKey],
    address: str,
) -> bool:
    """Whether the line that accepts our own key has a command= (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""
    _, answer = KeyLists.of(snapshot, account, server).best(keys, address, snapshot.taken_at)
    return answer.command is not None


def edit(target: KeyList, lists: KeyLists, trust: UserTrust, now: datetime) -> Edit:
    others = [each.keys for each in lists.lists if each.path != target.path]
    return trust.edit(target.keys, others, now)


def writable(snapshot: Snapshot, account: Account, lists: KeyLists) -> Optional[KeyList]:
    """The first list, where it is nova's own and can be read; None where it is not ours to write in."""
    first = next(iter(lists.lists), None)
    if first is None or first.refused or not is_direct(snapshot, account, first.path):
        return None
    return first if isinstance(snapshot.file(account.home), File) else None


def actions(
    snapshot: Snapshot, account: Account, target: KeyList, change: Edit
) -> tuple[Action, ...]:
    present = lines.missing(target.text or b"", change.present)
    if not present and not change.absent:
        return ()
    wanted = HaveLines(
        target.path, present, change.absent, 0o600, account.uid, account.gid, target.text
    )
    directory = target.path.parent
    if not isinstance(snapshot.file(directory), Absent):
        return (wanted,)
    return (MakeDirectory(directory, 0o700, account.uid, account.gid), wanted)
