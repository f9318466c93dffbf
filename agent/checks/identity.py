"""nova has a private key that ssh can use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional

from agent.formats import authorized_keys, places
from agent.formats.access import EXECUTE, READ, is_direct, link_on_the_way, may, unseen
from agent.formats.certificate import validity
from agent.formats.closed import closed_directory, describe, handed_back
from agent.model import (
    Absent,
    Account,
    Action,
    Check,
    ClientConfig,
    File,
    Finding,
    Identity,
    Kind,
    MakeDirectory,
    MakeKeyPair,
    NovaConfig,
    PublicKey,
    Role,
    ServerConfig,
    SetMode,
    SetOwner,
    Snapshot,
    Unreadable,
    WriteFile,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.settings import Settings

_Fault = tuple[str, str, tuple[Action, ...]]  # reason, message, fix
_TRIED = ("", ".pub", "-cert", "-cert.pub")


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    account, client = snapshot.account, snapshot.client_for("")
    subject = f"keys of {want.user}"
    if isinstance(account, Absent):
        yield skipped(subject, f"there is no account {want.user}")
    elif isinstance(client, Absent):
        yield skipped(subject, "there is no ssh that could use a key")
    elif not snapshot.host.live and not snapshot.identities:
        yield skipped(subject, "an image gets no key: all its clones would share it")
    elif isinstance(account, Unreadable):
        yield unknown(subject, unseen(snapshot), f"cannot look up the account: {account.reason}")
    elif isinstance(client, Unreadable):
        text = f"which keys ssh would offer is not known: {client.reason}"
        yield unknown(subject, unseen(snapshot), text)
    else:
        yield from _pipes(snapshot, account, client)
        if snapshot.identities:
            yield from _each(snapshot, account)
        else:
            yield _none(snapshot, account, client)


def _pipes(snapshot: Snapshot, account: Account, client: ClientConfig) -> Iterator[Finding]:
    """ssh opens each name it may find a key or its public half under, and waits for ever where that is a pipe.

    Whatever other keys there are, and whether the private key is there or not.
    """
    for private in places.identities(client, account):
        for path in (private.with_name(f"{private.name}{end}") for end in _TRIED):
            seen = snapshot.file(path)
            if isinstance(seen, File) and seen.kind is Kind.PIPE:
                text = f"{path} is a {seen.kind.value} that ssh waits for, expected a regular file"
                yield failed(str(path), "identity_blocks", text)


def _each(snapshot: Snapshot, account: Account) -> Iterator[Finding]:
    faults = {i.path: _fault(snapshot, account, i) for i in snapshot.identities}
    one_is_good = None in faults.values()
    hidden = {i.path: _hidden_by(snapshot, account, i) for i in snapshot.identities}
    for directory in dict.fromkeys(path for path in hidden.values() if path is not None):
        yield _closed(snapshot, account, directory, needed=not one_is_good)
    for identity in (i for i in snapshot.identities if hidden[i.path] is None and not _pipe(i)):
        subject, fault = str(identity.path), faults[identity.path]
        if isinstance(identity.key, Unreadable) and identity.key.reason == places.NO_KEYGEN:
            text = f"{places.NO_KEYGEN}; whether ssh can use the key is for a dial to show"
            yield skipped(subject, text)
        elif isinstance(identity.key, Unreadable) and identity.key.reason == places.RUN_ENDED:
            yield unknown(subject, "interrupted", identity.key.reason)
        elif fault is None:
            yield _dated(snapshot, identity) or passed(subject, _praise(identity))
        elif isinstance(identity.file, Unreadable) and not snapshot.host.privileged:
            yield unknown(subject, "needs_root", identity.file.reason)
        elif one_is_good:
            yield warned(subject, fault[0], fault[1], *fault[2])
        else:
            yield failed(subject, fault[0], fault[1], *fault[2])


def _hidden_by(snapshot: Snapshot, account: Account, identity: Identity) -> Optional[PurePosixPath]:
    """The directory of nova's home that hides a key from it; whether there is one cannot be seen."""
    if not isinstance(identity.file, Unreadable) or not snapshot.host.privileged:
        return None
    return closed_directory(snapshot, account, identity.path)


def _pipe(identity: Identity) -> bool:
    return isinstance(identity.file, File) and identity.file.kind is Kind.PIPE


def _closed(
    snapshot: Snapshot, account: Account, directory: PurePosixPath, *, needed: bool
) -> Finding:
    fix = handed_back(snapshot, account, directory, snapshot.file(directory))
    say = failed if needed else warned
    text = describe(snapshot, account, directory)
    return say(str(directory), "identity_unreadable", text, *fix)


def _praise(identity: Identity) -> str:
    kind = identity.key.type if isinstance(identity.key, PublicKey) else "the"
    certified = " and has a certificate" if identity.certificate else ""
    return f"{kind} key, which needs no passphrase{certified}"


def _dated(snapshot: Snapshot, identity: Identity) -> Optional[Finding]:
    """A certificate that has run out, or has less than a third of its time left.  A plain key may still be accepted."""
    dates, now = validity(identity.certificate or ""), snapshot.taken_at
    if dates is None:
        return None
    if dates.start is not None and now < dates.start:
        told = f"is not valid before {dates.start:%Y-%m-%d %H:%M} UTC"
    elif dates.end is not None and now >= dates.end:
        told = f"expired {dates.end:%Y-%m-%d %H:%M} UTC"
    elif dates.start and dates.end and dates.end - now < (dates.end - dates.start) / 3:
        told = f"expires {dates.end:%Y-%m-%d %H:%M} UTC"
    else:
        return None
    text = f"{identity.path}-cert.pub {told}, expected more than a third of its time left"
    return warned(f"{identity.path}-cert.pub", "certificate_dates", text)


def _fault(snapshot: Snapshot, account: Account, identity: Identity) -> Optional[_Fault]:
    file, key = identity.file, identity.key
    path = identity.path
    if isinstance(file, Unreadable):
        return "identity_unreadable", f"not readable for {account.name}: {file.reason}", ()
    if file.kind is not Kind.FILE:
        return "identity_broken", f"{path} is a {file.kind.value}, expected a regular file", ()
    if not may(account, READ, file):
        text = f"owner {file.uid}, mode {file.mode:04o}, expected readable for {account.name}"
        return "identity_unreadable", text, _handed_over(account, path, file)
    if file.uid == account.uid and file.mode & 0o077:
        text = f"mode is {file.mode:04o}, expected 0600: ssh ignores a key that others can read"
        return "identity_mode", text, (SetMode(path, 0o600, file.mode),)
    if isinstance(key, Unreadable):
        if "passphrase" in key.reason.lower():
            return "identity_passphrase", f"{path} needs a passphrase, expected none", ()
        return "identity_broken", f"{path} cannot be used: {key.reason}", ()
    if isinstance(identity.offered, PublicKey) and not key.same_key(identity.offered):
        text = f"{path}.pub is another key's, expected the public half of {path}"
        return "identity_mismatch", text, _public_half(snapshot, account, path, key)
    return None


def _handed_over(account: Account, path: PurePosixPath, file: File) -> tuple[Action, ...]:
    """For a key that root made in nova's own directory.

    A second name (st_nlink) could be one that nova gave to somebody else's secret, so then it stays a remedy.
    """
    root_made = file.uid == 0 and file.links == 1 and not file.mode & 0o077
    if not root_made or path.parent != account.home / places.SSH_DIRECTORY:
        return ()
    return (SetOwner(path, account.uid, account.gid, (file.uid, file.gid)),)


def _public_half(
    snapshot: Snapshot, account: Account, path: PurePosixPath, key: PublicKey
) -> tuple[Action, ...]:
    public = PurePosixPath(f"{path}.pub")
    old = snapshot.file(public)
    if not isinstance(old, File) or old.content is None or account.home not in path.parents:
        return ()
    text = f"{key.line} {key.comment}".rstrip() + "\n"
    new = WriteFile(public, text.encode(), 0o644, account.uid, account.gid, old.content)
    return (new,)


def _none(snapshot: Snapshot, account: Account, client: ClientConfig) -> Finding:
    offered = places.identities(client, account)
    looked = ", ".join(map(str, offered)) or "nowhere: IdentityFile is none"
    directory = account.home / places.SSH_DIRECTORY
    seen = snapshot.file(directory)
    if isinstance(seen, File) and not may(account, READ | EXECUTE, seen):
        owner = SetOwner(directory, account.uid, account.gid, (seen.uid, seen.gid))
        text = f"{directory} has owner {seen.uid}, mode {seen.mode:04o}, expected {account.name}'s"
        return failed(
            str(directory), "identity_unreadable", text, *((owner,) if seen.uid == 0 else ())
        )
    fix = () if places.new_identity(account) not in offered else _new_pair(snapshot, account)
    text = f"{account.name} has no private key, expected {places.new_identity(account)} or another that ssh offers"
    remedy = None if fix else f"put the site's key where ssh looks for it: {looked}"
    return failed(f"keys of {account.name}", "no_identity", text, *fix, remedy=remedy)


def _new_pair(snapshot: Snapshot, account: Account) -> tuple[Action, ...]:
    if not isinstance(snapshot.nova, NovaConfig):
        return ()
    if isinstance(snapshot.file(account.home), Absent):
        return ()  # the home is for the package, or the mount, to bring
    path = places.new_identity(account)
    if link_on_the_way(snapshot, account, path):
        return ()
    # What nova.conf calls this host may be no word that a line of ours can hold.
    named = authorized_keys.can_hold(snapshot.nova.host)
    pair = MakeKeyPair(
        path,
        account.name,
        account.uid,
        account.gid,
        comment=f"{account.name}@{snapshot.nova.host}" if named else account.name,
        accepted_in=_accepted_in(snapshot, account) if named else None,
    )
    if not isinstance(snapshot.file(path.parent), Absent):
        return (pair,)
    return (MakeDirectory(path.parent, 0o700, account.uid, account.gid), pair)


def _accepted_in(snapshot: Snapshot, account: Account) -> Optional[PurePosixPath]:
    server = snapshot.server_for("")
    if not isinstance(server, ServerConfig):
        return None
    first = next(iter(places.authorized_keys(server, account)), None)
    return first if first is not None and is_direct(snapshot, account, first) else None


CHECK = Check(
    id="identity",
    role=Role.SOURCE,
    summary="nova has a private key that ssh can use",
    why=(
        "The source logs in to its peers with nova's key, and nobody is there to type a passphrase. ssh silently passes "
        "over a key it may not or cannot use."
    ),
    evaluate=evaluate,
)
