"""Carry out a plan, one step after the other, stopping at the first that does not succeed."""

from __future__ import annotations

import errno
from pathlib import PurePosixPath
from typing import Any, Callable, Optional

from agent import state
from agent.formats import authorized_keys, keys
from agent.formats.escape import visible
from agent.host import Host, writing
from agent.model import (
    Account,
    Action,
    HaveLines,
    MakeDirectory,
    MakeKeyPair,
    Plan,
    PublicKey,
    Result,
    SetMode,
    SetOwner,
    SetShell,
    Step,
    StepResult,
    WriteFile,
    assert_never,
)
from agent.plan import describe


def carry_out(plan: Plan, host: Host) -> tuple[StepResult, ...]:
    """Every step tried; the report after it comes from looking again, never from these results."""
    results: list[StepResult] = []
    for step in plan.steps:
        result = _tried(step, host)
        results.append(result)
        host.log(
            f"{host.operator}: {describe(step.action)}: {result.result.value}"
            f" {visible(result.message)} because {visible(', '.join(step.because))}"
        )
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
        writing.set_owner(host.root, action.path, action.uid, action.gid, action.was)
        return f"was {action.was[0]}:{action.was[1]}"
    if isinstance(action, SetMode):
        writing.set_mode(host.root, action.path, action.mode, action.was)
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
        function(*args)


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

    kept = _kept(host, action.path, action.replaces)
    _write(host, action.path, action.uid, action.gid, replace_file)
    return kept or "made"


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

    kept = _kept(host, action.path, action.observed)
    seen = host.owner_of(action.path)
    # Our lines in a file that root owns inside nova's directory: only root can, and does it by descriptor.
    if seen is not None and seen != action.uid:
        have_lines()
    else:
        _write(host, action.path, action.uid, action.gid, have_lines)
    return kept or "made"


def _kept(host: Host, path: PurePosixPath, old: Optional[bytes]) -> str:
    """Keep the old text and say how to put it back."""
    if old is None:
        return ""
    backup = state.keep(host, path, old, host.now())
    return f"to put it back: cp --no-preserve=all '{backup}' '{path}'"


def _key_pair(action: MakeKeyPair, host: Host) -> str:
    who = Account(
        action.user,
        action.uid,
        action.gid,
        action.path.parent,
        PurePosixPath("/bin/sh"),
        (action.gid,),
    )
    made = host.call_as(who, writing.scratch_directory, host.root, action.path.parent)
    try:
        argv = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            action.comment,
            "-f",
            f"{made}/key",
        ]
        done = host.run(argv, account=who)
        if not done.ok:
            raise OSError(errno.EIO, f"ssh-keygen: {done.stderr.strip()}")
        text = str(host.call_as(who, writing.land_key_pair, made, str(action.path)))
    finally:
        host.call_as(who, writing.remove_scratch, made)
    public = keys.parse_public(text.strip())
    if public is None:
        raise OSError(errno.EIO, "ssh-keygen made no public key")
    if action.accepted_in is not None:
        _accept(action, action.accepted_in, public, host)
    return keys.fingerprint(public)


def _accept(action: MakeKeyPair, path: PurePosixPath, public: PublicKey, host: Host) -> None:
    name = action.comment.partition("@")[2]
    line = authorized_keys.entry_line(name, PublicKey(public.type, public.blob))
    seen = host.owner_of(path)
    _edited(
        HaveLines(path, (line,), (), 0o600, action.uid, action.gid, None if seen is None else b""),
        host,
    )


def _shell(action: SetShell, host: Host) -> str:
    argv = ["usermod", "--shell", str(action.shell), action.user]
    if not host.live:
        argv[1:1] = ["--prefix", host.root]
    done = host.run(argv)
    if not done.ok:
        raise OSError(errno.EIO, f"usermod: {done.stderr.strip() or 'failed'}")
    return f"was {action.was}"
