"""A directory of nova's home that nova itself may not search: one cause for everything below it that cannot be read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Optional

from agent.formats import places
from agent.formats.access import EXECUTE, may
from agent.model import Account, Action, File, Kind, SetMode, SetOwner, Snapshot


def closed_directory(
    snapshot: Snapshot, account: Account, path: PurePosixPath
) -> Optional[PurePosixPath]:
    """The topmost one above `path`, None where none is known to be closed."""
    above = (p for p in reversed(path.parents) if p == account.home or account.home in p.parents)
    return next((p for p in above if _is_closed(account, snapshot.file(p))), None)


def _is_closed(account: Account, seen: object) -> bool:
    if not isinstance(seen, File) or seen.kind is not Kind.DIRECTORY:
        return False
    return not may(account, EXECUTE, seen)


def describe(snapshot: Snapshot, account: Account, path: PurePosixPath) -> str:
    seen = snapshot.file(path)
    told = f"owner {seen.uid}, mode {seen.mode:04o}" if isinstance(seen, File) else "closed"
    return f"{told}, expected {account.name} to be able to search it"


def handed_back(
    snapshot: Snapshot, account: Account, path: PurePosixPath, seen: object
) -> tuple[Action, ...]:
    """Only nova's own .ssh changes hands: a foreign file's content, or a whole home, could be somebody else's."""
    home = snapshot.file(account.home)
    top = home.real if isinstance(home, File) and home.real is not None else account.home
    if path != top / places.SSH_DIRECTORY or not isinstance(seen, File):
        return ()
    if seen.kind is not Kind.DIRECTORY or seen.uid == account.uid:
        return ()
    owner = SetOwner(path, account.uid, account.gid, (seen.uid, seen.gid))
    open_to_others = seen.mode & 0o022
    return (owner, SetMode(path, seen.mode & ~0o022, seen.mode)) if open_to_others else (owner,)
