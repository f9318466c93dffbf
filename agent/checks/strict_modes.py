"""sshd may trust nova's key files: nobody else can write to them or to a directory on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional

from agent.formats import authorized_keys, places
from agent.formats.access import EXECUTE, READ, may, unseen
from agent.formats.closed import closed_directory, handed_back
from agent.formats.ground import server_side
from agent.model import (
    Absent,
    Account,
    Action,
    Check,
    File,
    Finding,
    Kind,
    Role,
    ServerConfig,
    SetMode,
    Snapshot,
    Unreadable,
    failed,
    passed,
    unknown,
    warned,
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    image = "sshd cannot be asked in an image which files it would read"
    found = server_side(snapshot, want, "key files", image)
    if isinstance(found, Finding):
        yield found
    else:
        yield from _walk(snapshot, *found)


def _walk(snapshot: Snapshot, account: Account, server: ServerConfig) -> Iterator[Finding]:
    files = places.authorized_keys(server, account)
    if any(account.home in path.parents for path in files):
        home = snapshot.file(account.home)
        if isinstance(home, Absent):
            text = f"{account.home} does not exist, expected {account.name}'s home directory"
            yield failed(str(account.home), "home_missing", text)
            return
    for path in dict.fromkeys(p for file in files for p in _judged(snapshot, account, file)):
        # What lies below a directory that is closed to nova cannot be seen: that directory is told of, once.
        below = isinstance(snapshot.file(path), Unreadable)
        if not (below and closed_directory(snapshot, account, path)):
            yield _inode(snapshot, account, server, path)


def _judged(snapshot: Snapshot, account: Account, file: PurePosixPath) -> list[PurePosixPath]:
    """What sshd looks at: the real file and each directory up to the real home, up to / for a file elsewhere."""
    # A file that is not there yet is judged once it is: what lies above it counts already.
    there = next(p for p in (file, *file.parents) if not isinstance(snapshot.file(p), Absent))
    home, real = _real(snapshot, account.home), _real(snapshot, there)
    chain = (real, *real.parents)
    below = [p for p in chain if p == home or home in p.parents]
    return below or list(chain)


def _real(snapshot: Snapshot, path: PurePosixPath) -> PurePosixPath:
    """Where links lead."""
    seen = snapshot.file(path)
    return seen.real if isinstance(seen, File) and seen.real is not None else path


def _inode(
    snapshot: Snapshot, account: Account, server: ServerConfig, path: PurePosixPath
) -> Finding:
    seen, subject = snapshot.file(path), str(path)
    if not isinstance(seen, File):
        why = seen.reason if isinstance(seen, Unreadable) else "it went away"
        return unknown(subject, unseen(snapshot), why)
    told = f"owner {seen.uid}, mode {seen.mode:04o}"
    if seen.kind is Kind.DIRECTORY and not may(account, EXECUTE, seen):
        text = f"{told}, expected {account.name} to be able to search it: sshd reads keys as {account.name}"
        fix = handed_back(snapshot, account, path, seen)
        say = warned if _is_spare(snapshot, account, server, path) else failed
        return say(subject, "authorized_keys_unreadable", text, *fix)
    if server.one("strictmodes", "yes") == "no":
        return passed(subject, f"{told}; sshd does not look (StrictModes no)")
    owned = seen.uid in (0, account.uid)
    if owned and not _others_write(snapshot, account, server, seen):
        return passed(subject, told)
    fix = _fix(snapshot, account, path, seen, owned=owned)
    writers = "others" if seen.mode & 0o002 else "its group"
    want = (
        f"expected no write bit for {writers}"
        if owned
        else f"expected owner {account.name} or root"
    )
    # Keys that stand in another file that sshd takes are not missed when it refuses this one.
    say = warned if _is_spare(snapshot, account, server, path) else failed
    return say(subject, "strict_modes", f"{told}, {want}", *fix)


def _others_write(snapshot: Snapshot, account: Account, server: ServerConfig, seen: File) -> bool:
    if seen.mode & 0o002:
        return True
    # Debian's sshd takes group write access where the group contains exactly the owner.
    alone = server.debian and snapshot.groups.get(seen.gid) == (account.name,)
    return bool(seen.mode & 0o020) and not alone


def _is_spare(
    snapshot: Snapshot, account: Account, server: ServerConfig, path: PurePosixPath
) -> bool:
    """Whether sshd takes another key file, which holds every line of this one; of a directory some line is enough."""
    lines, seen = _lines(snapshot.file(path)), snapshot.file(path)
    files = ((p, _real(snapshot, p)) for p in places.authorized_keys(server, account))
    others = (p for p, real in files if path not in (p, real, *p.parents, *real.parents))
    good = (s for p in others if _is_taken(snapshot, account, server, s := snapshot.file(p)))
    held = {line for each in good for line in _lines(each) or ()}
    if isinstance(seen, File) and seen.kind is Kind.DIRECTORY:
        return bool(held)
    return lines is not None and lines <= held


def _lines(seen: object) -> Optional[set[tuple[object, ...]]]:
    """The keys of a file with what their options say, None where it cannot be read."""
    if not isinstance(seen, File) or seen.kind is not Kind.FILE or seen.content is None:
        return None
    return {(entry.options, entry.key.line) for entry in authorized_keys.parse(seen.content)}


def _is_taken(snapshot: Snapshot, account: Account, server: ServerConfig, seen: object) -> bool:
    if not isinstance(seen, File) or not may(account, READ, seen):
        return False
    owned = seen.uid in (0, account.uid)
    return owned and not _others_write(snapshot, account, server, seen)


def _fix(
    snapshot: Snapshot, account: Account, path: PurePosixPath, seen: File, *, owned: bool
) -> tuple[Action, ...]:
    home = _real(snapshot, account.home)
    if path != home and home not in path.parents:
        return ()  # a directory of the system: taking a write bit there may break others
    if owned:
        return (SetMode(path, seen.mode & ~0o022, seen.mode),)
    return handed_back(snapshot, account, path, seen)


CHECK = Check(
    id="strict_modes",
    role=Role.DESTINATION,
    summary="Nobody but nova and root can write to nova's key files",
    why=(
        "sshd refuses every key of a file that somebody else could have written, or that lies below a directory in which "
        "somebody else could have replaced it; the client only sees Permission denied."
    ),
    evaluate=evaluate,
    of_login=True,
)
