"""What a login to this host's own address really met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Optional

from agent.formats import trust, user_key_files
from agent.model import (
    Account,
    Attempt,
    Check,
    Finding,
    Instances,
    NovaConfig,
    Role,
    ServerConfig,
    Snapshot,
    failed,
    passed,
    skipped,
    warned,
)
from agent.reasons import REASONS, Side, Stage, impact_at
from agent.settings import Settings

_SEARCH, _READ = 0o1, 0o4
_LISTS = "look at the access list and the group that new directories inherit: getfacl and ls -ld of the instances directory"
_STANDS = "what is predicted stands; whether qemu could reach what a peer copies here (umask, access lists) is not known"
_ALSO = "what is predicted stands; nova's login shell, started without sshd, makes directories that qemu can search"
# Up to here the server was not asked yet.
_BEFORE = (Stage.RESOLVE, Stage.CONNECT, Stage.BANNER, Stage.HOST_KEY)
# Faults of the client's side, and a server that was too busy to look: nothing is learnt about nova's login here.
_NOT_THE_SERVER = frozenset(
    "no_identity identity_unreadable identity_mode identity_passphrase identity_broken identity_mismatch "
    "too_many_authentication_failures no_user_for_uid client_config_invalid client_hangs tool_missing scp_missing "
    "rsync_without_ssh control_master peer_busy".split()
)


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    if not snapshot.self_dials:
        yield skipped("self-dial", _why_not(snapshot))
    for attempt in snapshot.self_dials:
        yield _judge(snapshot, attempt)
        if attempt.stage == Stage.CLEANUP.value:
            yield warned(_subject(attempt), attempt.reason or "leftover_probe", attempt.detail)


def _why_not(snapshot: Snapshot) -> str:
    if not snapshot.host.live:
        return "an image cannot be dialled"
    if not snapshot.identities:
        return "there is no key to log in with yet"
    return "this run did not dial; what is predicted stands"


def _judge(snapshot: Snapshot, attempt: Attempt) -> Finding:
    subject = _subject(attempt)
    if attempt.skipped or attempt.unknown:
        nothing = skipped(subject, attempt.detail or "nothing was learnt")
        return _closed(snapshot, subject, attempt) or nothing
    if attempt.reason is None or attempt.stage == Stage.CLEANUP.value:
        return _arrived(snapshot, subject, attempt)
    text = f"failed at stage {attempt.stage}: {attempt.detail}"
    if _before_the_server(snapshot, attempt):
        return _stood_in(snapshot, subject, attempt, text)
    if attempt.reason == "forced_command" and _is_our_own_line(snapshot, attempt):
        text = "this host's own key has a command= of its own, so it is not what peers meet"
        return _stood_in(snapshot, subject, attempt, text)
    expected = "expected Nova's commands and the copy to work"
    # Another port than the one peers dial may be there for something else.
    say = failed if attempt.port == snapshot.port else warned
    finding = say(subject, attempt.reason, f"{text}, {expected}")
    reason = REASONS.get(attempt.reason)
    impact = impact_at(reason, Stage(attempt.stage)) if reason and attempt.stage else None
    return replace(finding, side=Side.HERE, impact=impact)


def _stood_in(snapshot: Snapshot, subject: str, attempt: Attempt, text: str) -> Finding:
    """No login was to be had; where nova's shell was started without one, what it makes of a directory is known."""
    if attempt.directory_mode is None:
        return skipped(subject, f"{text}; {_STANDS}")
    closed = _closed(snapshot, subject, attempt)
    return closed or skipped(subject, f"{text}; {_ALSO}")


def _subject(attempt: Attempt) -> str:
    return f"self-dial of {attempt.address} port {attempt.port}"


def _before_the_server(snapshot: Snapshot, attempt: Attempt) -> bool:
    if attempt.stage is None or attempt.stage in {stage.value for stage in _BEFORE}:
        return True
    if attempt.reason in _NOT_THE_SERVER:
        return True
    return attempt.stage == Stage.AUTH.value and not _is_accepted(snapshot, attempt)


def _is_accepted(snapshot: Snapshot, attempt: Attempt) -> bool:
    """Whether our own key should have been accepted: only then a refusal is the server's fault."""
    if attempt.reason != "permission_denied":
        return True
    snapshot = snapshot.at_login()
    account, server = snapshot.account, snapshot.server_for(attempt.address)
    if not isinstance(account, Account) or not isinstance(server, ServerConfig):
        return False
    keys = trust.own_keys(snapshot)
    address = trust.numeric(attempt.address)
    return user_key_files.own_key_accepted(snapshot, account, server, keys, address)


def _is_our_own_line(snapshot: Snapshot, attempt: Attempt) -> bool:
    """A command= that no peer's login meets: not sshd's own, and not that of a key which a peer has too."""
    snapshot = snapshot.at_login()
    account, server = snapshot.account, snapshot.server_for(attempt.address)
    if not isinstance(account, Account) or not isinstance(server, ServerConfig):
        return False
    keys = trust.own_keys(snapshot)
    own = snapshot.nova.host if isinstance(snapshot.nova, NovaConfig) else ""
    theirs = {key.line for peer in snapshot.records.peers(own) for key in peer.user_keys}
    if server.one("forcecommand", "none") != "none" or any(key.line in theirs for key in keys):
        return False
    address = trust.numeric(attempt.address)
    return user_key_files.own_line_forces(snapshot, account, server, keys, address)


def _arrived(snapshot: Snapshot, subject: str, attempt: Attempt) -> Finding:
    file, asked = attempt.file_mode, _qemu_was_asked(snapshot, attempt)
    closed = _closed(snapshot, subject, attempt)
    if closed is not None:
        return closed
    if file is not None and not (
        attempt.qemu_reads if asked else file & _bits_for_qemu(snapshot, _READ)
    ):
        # libvirt gives a disk to the qemu user before it starts the guest, unless dynamic_ownership is off.
        text = f"a file arrived with mode {file:04o}, expected one that qemu can read"
        return warned(subject, "umask_too_strict", text)
    return passed(subject, f"Nova's commands and the copy worked in {attempt.seconds:.1f} s")


def _closed(snapshot: Snapshot, subject: str, attempt: Attempt) -> Optional[Finding]:
    directory = attempt.directory_mode
    if directory is None:
        return None
    by_mode = bool(directory & _bits_for_qemu(snapshot, _SEARCH))
    if attempt.qemu_enters if _qemu_was_asked(snapshot, attempt) else by_mode:
        return None
    came = "nova's shell makes a directory" if attempt.file_mode is None else "a directory arrived"
    text = f"{came} with mode {directory:04o}, expected one that qemu can search"
    return failed(subject, "umask_too_strict", text, remedy=_LISTS if by_mode else None)


def _qemu_was_asked(snapshot: Snapshot, attempt: Attempt) -> bool:
    """Whether its own answer tells of what arrived; where the way there is closed it would tell of that, as qemu_access does."""
    instances = snapshot.instances
    way_is_open = isinstance(instances, Instances) and instances.qemu_enters is True
    return way_is_open and attempt.qemu_enters is not None


def _bits_for_qemu(snapshot: Snapshot, bit: int) -> int:
    """The bit in the class that qemu falls into for what nova makes."""
    qemu, account = snapshot.qemu, snapshot.account
    if isinstance(qemu, Account) and isinstance(account, Account):
        if qemu.uid in (0, account.uid):
            return 0o700
        if account.gid in (qemu.gid, *qemu.groups):
            return bit << 3
    return bit


CHECK = Check(
    id="self_dial",
    role=Role.DESTINATION,
    summary="This host's own login works all the way",
    why=(
        "Nova's commands, run against this host's own address, meet what no file shows: PAM, shell start-up files, the sftp "
        "subsystem, the umask."
    ),
    evaluate=evaluate,
)
