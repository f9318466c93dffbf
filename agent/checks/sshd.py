"""sshd runs, takes nova's key from every peer's address, and opens what Nova's copy needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional

from agent.formats import admission
from agent.formats.access import unanswered, unseen
from agent.model import (
    Absent,
    Account,
    Check,
    Finding,
    Kind,
    Layout,
    NovaConfig,
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
from agent.settings import Settings

_SUBJECT = "sshd"
_SFTP = "sftp subsystem"


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    server = snapshot.server_for("")
    listening = snapshot.listening if snapshot.host.live else ()
    if isinstance(server, Absent) and listening:
        text = "an ssh server listens here that is none of this host's own: it cannot be asked"
        yield unknown(_SUBJECT, "not_observed", text)
    elif isinstance(snapshot.layout, Layout) and snapshot.layout.server_missing:
        yield failed("sshd port", "sshd_not_running", snapshot.layout.server_missing)
    elif isinstance(server, Absent):
        yield failed(_SUBJECT, "sshd_missing", "no sshd is installed, expected one")
    elif not snapshot.host.live:
        yield skipped(_SUBJECT, "sshd cannot be asked in an image")
    elif isinstance(snapshot.account, Absent):
        yield skipped(_SUBJECT, f"there is no account {want.user} to ask sshd about")
    elif isinstance(server, Unreadable):
        yield unknown(_SUBJECT, unanswered(snapshot), server.reason)
    else:
        yield from _ports(snapshot)
        if server.newer:
            text = f"{server.newer} was changed after sshd read it, expected a reload: the next start brings what it says"
            yield warned("sshd's age", "sshd_not_reloaded", text)
        yield from _answers(snapshot, want, server)
        yield _sftp(snapshot, server)


def _ports(snapshot: Snapshot) -> Iterator[Finding]:
    listening = snapshot.listening
    if isinstance(listening, Unreadable):
        yield unknown("sshd port", unseen(snapshot), listening.reason)
    elif not listening:
        yield failed("sshd port", "sshd_not_running", "no sshd listens, expected one")
    else:
        yield _own_port(snapshot, listening)


def _own_port(snapshot: Snapshot, listening: tuple[int, ...]) -> Finding:
    ports = ", ".join(map(str, listening))
    host = snapshot.nova.host if isinstance(snapshot.nova, NovaConfig) else ""
    own = snapshot.records.named(host)
    if own is not None and own.present and own.port not in listening:
        text = f"sshd listens on {ports}, expected {own.port} as this host's record says"
        return warned("sshd port", "sshd_port_differs", text)
    return passed("sshd port", f"sshd listens on {ports}")


def _answers(snapshot: Snapshot, want: Settings, server: ServerConfig) -> Iterator[Finding]:
    """The answer for any address decides; what only one peer's address meets is told about that peer."""
    groups = _groups(snapshot)
    general = admission.objections(server, want.user, groups, "")
    yield from (_finding(o) for o in general)
    if not general:
        yield passed(_SUBJECT, f"sshd takes public keys for {want.user} and forces no command")
    host = snapshot.nova.host if isinstance(snapshot.nova, NovaConfig) else ""
    for peer in snapshot.records.peers(host):
        answer = snapshot.server_for(peer.address)
        if isinstance(answer, ServerConfig):
            found = admission.objections(answer, want.user, groups, peer.address)
            known = {o.reason for o in general}
            yield from (_finding(o, peer.name) for o in found if o.reason not in known)


def _finding(objection: admission.Objection, peer: Optional[str] = None) -> Finding:
    if objection.reason == "not_observed":
        return unknown(_SUBJECT, objection.reason, objection.message, peer=peer)
    # A forced command that passes Nova's lines is how some sites mean it: only a dial can tell.
    say = warned if objection.reason == "forced_command" else failed
    return say(_SUBJECT, objection.reason, objection.message, peer=peer)


def _groups(snapshot: Snapshot) -> Optional[tuple[str, ...]]:
    return snapshot.account.group_names if isinstance(snapshot.account, Account) else None


def _sftp(snapshot: Snapshot, server: ServerConfig) -> Finding:
    if isinstance(snapshot.nova, NovaConfig) and snapshot.nova.transport == "rsync":
        return passed(_SFTP, "not needed: copies go by rsync")
    commands = [
        v.split()[1:] for v in server.values.get("subsystem", ()) if v.split()[:1] == ["sftp"]
    ]
    if not commands or not commands[0]:
        text = "sshd has no sftp subsystem, expected one: scp copies through it"
        return _without_sftp(server, "sftp_missing", text)
    program = commands[0][0]
    if program == "internal-sftp" or not program.startswith("/"):
        return passed(_SFTP, f"sftp is {program}")
    return _program(snapshot, server, PurePosixPath(program))


def _program(snapshot: Snapshot, server: ServerConfig, program: PurePosixPath) -> Finding:
    seen = snapshot.file(program)
    if isinstance(seen, Unreadable):
        return unknown(_SFTP, unseen(snapshot), seen.reason)
    if isinstance(seen, Absent):
        text = f"{program} does not exist, expected a program"
        return _without_sftp(server, "sftp_broken", text)
    if seen.kind is not Kind.FILE or not seen.mode & 0o111:
        text = f"{program} has mode {seen.mode:04o}, expected a program that nova can start"
        return _without_sftp(server, "sftp_broken", text)
    return passed(_SFTP, f"sftp is {program}")


def _without_sftp(server: ServerConfig, reason: str, text: str) -> Finding:
    """Before OpenSSH 8.7 scp could only start scp on the far side; it is the source's scp that counts.

    The age is told by a keyword that sshd(8) -T has not printed since 8.7.
    """
    if "challengeresponseauthentication" not in server.values:
        return failed(_SFTP, reason, text)
    also = "the scp of this host's age does without it, that of a peer with OpenSSH 9.0 does not"
    return warned(_SFTP, reason, f"{text}; {also}")


CHECK = Check(
    id="sshd",
    role=Role.DESTINATION,
    summary="sshd lets nova in and opens what Nova needs",
    why=(
        "What counts is sshd's own effective answer for nova from each peer's address, Match blocks included. A missing sftp "
        "subsystem shows only after the guest was powered off."
    ),
    evaluate=evaluate,
    of_login=True,
)
