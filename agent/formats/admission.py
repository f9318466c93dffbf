"""What in sshd's effective configuration keeps an account out or bends its session (sshd_config(5))."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from agent.formats import matching
from agent.model import ServerConfig


class Objection(NamedTuple):
    """`reason` is a reason code; `not_observed` where the configuration asks for what is not known here."""

    reason: str
    message: str


def objections(
    server: ServerConfig, user: str, groups: Optional[Sequence[str]], address: str = ""
) -> tuple[Objection, ...]:
    """Every one, in the order in which a login would meet them.

    Without an address a `user@host` pattern counts for the account: it lets some address in, and denies not all.
    `groups` are the names of the account's groups, None where they are not known.
    """
    found = (
        *_listed(server, user, address),
        *_grouped(server, user, groups),
        *_methods(server),
        *_session(server),
    )
    return tuple(found)


def _listed(server: ServerConfig, user: str, address: str) -> Iterator[Objection]:
    denied, allowed = server.words("denyusers"), server.words("allowusers")
    where = f" from {address}" if address else ""
    if any(_matches(p, user, address, deny=True) for p in denied):
        text = f"DenyUsers {' '.join(denied)} keeps {user}{where} out, expected it let in"
        yield Objection("user_not_allowed", text)
    elif allowed and not any(_matches(p, user, address, deny=False) for p in allowed):
        text = f"AllowUsers {' '.join(allowed)} keeps {user}{where} out, expected it let in"
        yield Objection("user_not_allowed", text)


def _matches(pattern: str, user: str, address: str, *, deny: bool) -> bool:
    name, at, host = pattern.partition("@")
    if not _like(user, name):
        return False
    if not at:
        return True
    if not address:
        return not deny
    try:
        return matching.in_networks(address, host)
    except matching.InvalidList:
        return deny  # sshd refuses the login over a pattern it cannot read


def _like(name: str, pattern: str) -> bool:
    return matching.Glob.of(pattern.encode()).matches(name.encode())


def _grouped(
    server: ServerConfig, user: str, groups: Optional[Sequence[str]]
) -> Iterator[Objection]:
    for keyword, shown in (("denygroups", "DenyGroups"), ("allowgroups", "AllowGroups")):
        patterns = server.words(keyword)
        if not patterns:
            continue
        told = f"{shown} {' '.join(patterns)}"
        if groups is None:
            text = f"{told} is set, and whether {user}'s groups are let in is not known"
            yield Objection("not_observed", text)
            return
        if any(_like(g, p) for g in groups for p in patterns) == (keyword == "denygroups"):
            text = f"{told} keeps {user}, in {', '.join(groups)}, out, expected it let in"
            yield Objection("user_not_allowed", text)
            return


def _methods(server: ServerConfig) -> Iterator[Objection]:
    if server.one("pubkeyauthentication", "yes") == "no":
        text = "PubkeyAuthentication is no, expected yes"
        yield Objection("pubkey_disabled", text)
    methods = server.words("authenticationmethods")
    if methods and not {"any", "publickey"} & set(methods):
        text = f"AuthenticationMethods is {' '.join(methods)}, expected publickey to be enough"
        yield Objection("pubkey_disabled", text)


def _session(server: ServerConfig) -> Iterator[Objection]:
    forced = server.one("forcecommand", "none")
    if forced.split()[:1] == ["internal-sftp"]:
        yield Objection("sftp_only", f"ForceCommand is {forced}, expected none")
    elif forced != "none":
        text = f"ForceCommand is {forced}, expected none or one that passes Nova's commands"
        yield Objection("forced_command", text)
    if server.one("maxsessions", "10") == "0":
        yield Objection("channel_refused", "MaxSessions is 0, expected more")
