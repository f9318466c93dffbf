"""sshd may trust nova's key files: nobody else can write to them or to a directory on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from agent.formats import authorized_keys, places
from agent.formats.access import EXECUTE, may, unanswered, unseen
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
    SetOwner,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    account, server = snapshot.account, snapshot.server_for("")
    if isinstance(account, Absent):
        yield skipped("key files", f"there is no account {want.user}")
    elif not snapshot.host.live:
        yield skipped("key files", "sshd cannot be asked in an image which files it would read")
    elif isinstance(server, Absent):
        yield skipped("key files", "there is no sshd that would read them")
    elif isinstance(account, Unreadable):
        yield unknown(
            "key files", unseen(snapshot), f"cannot look up the account: {account.reason}"
        )
    elif isinstance(server, Unreadable):
        yield unknown("key files", unanswered(snapshot), f"sshd cannot be asked: {server.reason}")
    else:
        yield from _walk(snapshot, account, server)


def _walk(snapshot: Snapshot, account: Account, server: ServerConfig) -> Iterator[Finding]:
    files = places.authorized_keys(server, account)
    if any(account.home in path.parents for path in files):
        home = snapshot.file(account.home)
        if isinstance(home, Absent):
            text = f"{account.home} does not exist, expected {account.name}'s home directory"
            yield failed(str(account.home), "home_missing", text)
            return
    for path in dict.fromkeys(p for file in files for p in _judged(snapshot, account, file)):
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
        fix = _owner(snapshot, account, path, seen)
        return failed(subject, "authorized_keys_unreadable", text, *fix)
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
    # The keys of a file without any are not missed when sshd refuses it.
    say = warned if _holds_nothing(seen) else failed
    return say(subject, "strict_modes", f"{told}, {want}", *fix)


def _others_write(snapshot: Snapshot, account: Account, server: ServerConfig, seen: File) -> bool:
    if seen.mode & 0o002:
        return True
    # Debian's sshd takes group write access where the group contains exactly the owner.
    alone = server.debian and snapshot.groups.get(seen.gid) == (account.name,)
    return bool(seen.mode & 0o020) and not alone


def _holds_nothing(seen: File) -> bool:
    return (
        seen.kind is Kind.FILE
        and seen.content is not None
        and not authorized_keys.parse(seen.content)
    )


def _fix(
    snapshot: Snapshot, account: Account, path: PurePosixPath, seen: File, *, owned: bool
) -> tuple[Action, ...]:
    home = _real(snapshot, account.home)
    if path != home and home not in path.parents:
        return ()  # a directory of the system: taking a write bit there may break others
    mode = SetMode(path, seen.mode & ~0o022, seen.mode)
    if owned:
        return (mode,)
    owner = _owner(snapshot, account, path, seen)
    return (*owner, mode) if owner and seen.mode & 0o022 else owner


def _owner(
    snapshot: Snapshot, account: Account, path: PurePosixPath, seen: File
) -> tuple[Action, ...]:
    """Only nova's own .ssh changes hands: a foreign file's content, or a whole home, could be somebody else's."""
    ssh_directory = _real(snapshot, account.home) / places.SSH_DIRECTORY
    if path != ssh_directory or seen.kind is not Kind.DIRECTORY or seen.uid == account.uid:
        return ()
    return (SetOwner(path, account.uid, account.gid, (seen.uid, seen.gid)),)


CHECK = Check(
    id="strict_modes",
    role=Role.DESTINATION,
    summary="Nobody but nova and root can write to nova's key files",
    why=(
        "sshd refuses every key of a file that somebody else could have written, or that lies below a directory in which "
        "somebody else could have replaced it; the client only sees Permission denied."
    ),
    evaluate=evaluate,
)
