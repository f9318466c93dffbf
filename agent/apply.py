"""Carry out a plan, one step after the other, stopping at the first that does not succeed."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any, Callable, Optional, Union

from agent import state
from agent.formats import authorized_keys, keys, passwd
from agent.formats.escape import visible
from agent.host import Host, descend, key_pair, landing, writing
from agent.model import (
    Account,
    Action,
    CheckResult,
    File,
    HaveLines,
    Instances,
    MakeDirectory,
    MakeKeyPair,
    Plan,
    PublicKey,
    Result,
    SetMode,
    SetOwner,
    SetShell,
    Snapshot,
    Step,
    StepResult,
    Unreadable,
    WriteFile,
    assert_never,
)
from agent.observe.accounts import PASSWD
from agent.plan import describe

_LOGGED = 2000  # characters of one log line


def tidy(host: Host, snapshot: Snapshot) -> bool:
    """Remove what an earlier `--fix` that was killed left beside the files it wrote; one log line for each.

    Whether there was anything.
    """
    account, found = snapshot.account, False
    owners = [os.geteuid(), *([account.uid] if isinstance(account, Account) else [])]
    for directory in sorted(_written_in(snapshot)):
        door = host.outside if directory == state.BACKUPS else host
        try:
            if isinstance(account, Account) and door.owner_of(directory) == account.uid != 0:
                swept = door.call_as(account, landing.sweep, door.root, directory, owners[1:])
            else:
                swept = door.act(landing.sweep, door.root, directory, owners)
        except OSError:
            continue  # not there, or not to be entered: then nothing of ours is in it either
        found = found or bool(swept)
        for name in swept:
            host.log(visible(f"removed {directory}/{name}, left by a run that was killed", _LOGGED))
    return found


def _written_in(snapshot: Snapshot) -> set[PurePosixPath]:
    way = snapshot.instances.way if isinstance(snapshot.instances, Instances) else ()
    return {state.BACKUPS, *(p.parent for p in (*snapshot.files, *(path for path, _ in way)))}


def doors(
    host: Host, snapshot: Snapshot, judged: tuple[CheckResult, ...]
) -> tuple[tuple[Host, tuple[CheckResult, ...]], ...]:
    """Where what was judged is to be put right: what peers log in to may live in another container than nova-compute."""
    layout = snapshot.layout
    if isinstance(layout, Unreadable) or layout.server_missing:
        return ((host, ()),)
    if not layout.split:
        return ((host.at(layout.client), judged),)
    inside = tuple(result for result in judged if not result.check.of_login)
    visited = tuple(result for result in judged if result.check.of_login)
    return (host.at(layout.client), inside), (host.at(layout.server), visited)


def carry_out(plan: Plan, host: Host) -> tuple[StepResult, ...]:
    """Every step tried; the report after it comes from looking again, never from these results."""
    results: list[StepResult] = []
    for step in plan.steps:
        result = _tried(step, host)
        results.append(result)
        because = ", ".join(step.because)
        told = f"{describe(step.action)}: {result.result.value} {result.message} because {because}"
        host.log(visible(f"{host.operator}: {told}", _LOGGED))
        if result.result is not Result.DONE:
            break
    return tuple(results)


def _tried(step: Step, host: Host) -> StepResult:
    try:
        return StepResult(step, Result.DONE, perform(step.action, host))
    except OSError as error:
        kind = Result.STALE if error.errno == errno.ESTALE else Result.FAILED
        return StepResult(step, kind, visible(error.strerror or str(error)))


def perform(action: Action, host: Host) -> str:
    """Bring about one end state; returns what to tell the operator.  Raises OSError."""
    if isinstance(action, MakeDirectory):
        where = (action.path, action.mode, action.uid, action.gid)
        _write(host, action.path, action.uid, action.gid, writing.make_directory, host.root, *where)
        return "made"
    if isinstance(action, SetOwner):
        host.act(writing.set_owner, host.root, action.path, action.uid, action.gid, action.was)
        return f"was {action.was[0]}:{action.was[1]}"
    if isinstance(action, SetMode):
        host.act(writing.set_mode, host.root, action.path, action.mode, action.was)
        return f"was {action.was:04o}"
    if isinstance(action, WriteFile):
        return _replaced(action, host)
    if isinstance(action, HaveLines):
        return _edited(action, host)
    if isinstance(action, MakeKeyPair):
        return _key_pair(action, host)
    if isinstance(action, SetShell):
        return _shell(action, host)
    assert_never(action)


def _write(
    host: Host, path: PurePosixPath, uid: int, gid: int, function: Callable[..., Any], *args: Any
) -> None:
    """As the owner of the directory where that is the user: root writes only among its own."""
    if uid != 0 and host.owner_of_parent(path) == uid:
        who = Account("the owner", uid, gid, path.parent, PurePosixPath("/bin/sh"), (gid,))
        host.call_as(who, function, *args)
    else:
        host.act(function, *args)


def _replaced(action: WriteFile, host: Host) -> str:
    def replace_file() -> None:
        writing.replace_file(
            host.root,
            action.path,
            action.content,
            mode=action.mode,
            owner=(action.uid, action.gid),
            replaces=action.replaces,
        )

    with _kept(host, action, action.replaces) as said:
        _write(host, action.path, action.uid, action.gid, replace_file)
    return said


def _edited(action: HaveLines, host: Host) -> str:
    def have_lines() -> None:
        writing.have_lines(
            host.root,
            action.path,
            action.present,
            action.absent,
            mode=action.mode,
            owner=(action.uid, action.gid),
            existed=action.observed is not None,
        )

    with _kept(host, action, action.observed) as said:
        owner = host.owner_of(action.path)
        # Our lines in a file that root owns inside nova's directory: only root can, and does it by descriptor.
        if owner is not None and owner != action.uid:
            host.act(have_lines)
        else:
            _write(host, action.path, action.uid, action.gid, have_lines)
    return said


@contextmanager
def _kept(host: Host, action: Union[WriteFile, HaveLines], old: Optional[bytes]) -> Iterator[str]:
    """The old text is kept before the change and forgotten where nothing changed; yields how to put it back."""
    if old is None:
        yield "made"
        return
    backup = state.keep(host.outside, action.path, old, host.now())
    try:
        yield _put_back(host, backup, action)
    except OSError as error:
        if error.errno == errno.ESTALE or host.act(writing.holds, host.root, action.path, old):
            with suppress(OSError):  # why the step failed is what the operator must hear
                state.forget(host.outside, backup)
        raise


def _put_back(host: Host, backup: PurePosixPath, action: Union[WriteFile, HaveLines]) -> str:
    """As the file's owner: root writing by path where a user can plant a link is what we never do."""
    owner = host.owner_of(action.path) or host.owner_of_parent(action.path)
    if not owner and not host.act(descend.is_roots_alone, host.root, action.path):
        return f"what it was is in {backup}; who can move a directory above it could lead a command of root's astray"
    who = f"setpriv --reuid {owner} --regid {action.gid} --clear-groups " if owner else ""
    source, target = (shlex.quote(host.inside(each)) for each in (backup, action.path))
    there = f"nsenter --target {host.seat.pid} --mount --root " if host.seat else ""
    return f"to put it back: {there}{who}tee {target} <{source} >/dev/null"


def _key_pair(action: MakeKeyPair, host: Host) -> str:
    who = _owner(action)
    made = host.call_as(who, key_pair.scratch, host.root, action.path.parent)
    try:
        kind = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", action.comment]
        done = host.run([*kind, "-f", f"{made}/key"], account=who)
        if not done.ok:
            raise OSError(errno.EIO, f"ssh-keygen: {done.stderr.strip()}")
        text = str(host.call_as(who, key_pair.land, made, str(action.path)))
    finally:
        host.call_as(who, key_pair.remove_scratch, made)
    public = keys.parse_public(text.strip())
    if public is None:
        raise OSError(errno.EIO, "ssh-keygen made no public key")
    if action.accepted_in is not None:
        _accept(action, action.accepted_in, public, host)
    return keys.fingerprint(public)


def _owner(action: MakeKeyPair) -> Account:
    nowhere = PurePosixPath("/bin/sh")
    home = action.path.parent
    return Account(action.user, action.uid, action.gid, home, nowhere, (action.gid,))


def _accept(action: MakeKeyPair, path: PurePosixPath, public: PublicKey, host: Host) -> None:
    name = action.comment.partition("@")[2]
    line = authorized_keys.entry_line(name, PublicKey(public.type, public.blob))
    seen = host.files_as(_owner(action), [path], content=True)[path]
    if isinstance(seen, Unreadable):
        raise OSError(errno.EACCES, seen.reason)
    before = seen.content if isinstance(seen, File) else None
    _edited(HaveLines(path, (line,), (), 0o600, action.uid, action.gid, before), host)


def _shell(action: SetShell, host: Host) -> str:
    seen = host.file(PASSWD)
    text = (seen.content or b"") if isinstance(seen, File) else b""
    now = passwd.account(text, b"", action.user)
    if not isinstance(now, Account) or now.shell != action.was:
        raise writing.Stale(PASSWD)
    argv = ["usermod", "--shell", str(action.shell), action.user]
    if not host.live:
        argv[1:1] = ["--prefix", host.root]
    done = host.run(argv)
    if not done.ok:
        raise OSError(errno.EIO, f"usermod: {done.stderr.strip() or 'failed'}")
    return f"was {action.was}"
