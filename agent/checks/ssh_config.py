"""ssh's configuration, as nova sees it, is valid and does nothing that hides or bends a resize."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional, Union

from agent.formats import places
from agent.formats.access import unseen
from agent.model import (
    Absent,
    Check,
    ClientConfig,
    Finding,
    Layout,
    NovaConfig,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
    warned,
)
from agent.settings import Settings

_SUBJECT = "ssh configuration"
_Seen = Union[ClientConfig, Absent, Unreadable]
_Note = tuple[str, str]  # reason, message


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    client = snapshot.client_for("")
    if not snapshot.host.live:
        yield skipped(_SUBJECT, "ssh cannot be asked in an image")
        return
    if isinstance(snapshot.account, Absent):
        yield skipped(_SUBJECT, f"there is no account {want.user} to ask ssh as")
        return
    if isinstance(client, Absent):
        yield skipped(_SUBJECT, "there is no ssh to configure")
        return
    # Asked as somebody else, or not at all, ssh's refusal says nothing about nova.
    asked = snapshot.host.privileged and not isinstance(snapshot.account, Unreadable)
    if isinstance(client, Unreadable) and not asked:
        yield unknown(_SUBJECT, unseen(snapshot), client.reason)
        return
    login = snapshot.layout.login if isinstance(snapshot.layout, Layout) else want.user
    general = _notes(client, want, login)
    yield from (_finding(client, note, None) for note in general)
    if not general:
        yield passed(_SUBJECT, f"ssh takes it and logs in as {login}")
    yield from _peculiar(snapshot, want, login, set(general))


def _peculiar(
    snapshot: Snapshot, want: Settings, login: str, general: set[_Note]
) -> Iterator[Finding]:
    """What a Host or Match block says for the address of one peer only."""
    own = snapshot.nova.host if isinstance(snapshot.nova, NovaConfig) else ""
    for peer in snapshot.records.peers(own):
        client = snapshot.client.get(peer.address, Absent())
        for note in _notes(client, want, login):
            if note not in general:
                yield _finding(client, note, peer.name)


def _finding(client: _Seen, note: _Note, peer: Optional[str]) -> Finding:
    if note[0] == "interrupted":
        return unknown(_SUBJECT, *note, peer=peer)
    say = failed if isinstance(client, Unreadable) else warned
    return say(_SUBJECT, *note, peer=peer)


def _notes(client: _Seen, want: Settings, login: str) -> list[_Note]:
    if isinstance(client, Unreadable) and client.reason == places.RUN_ENDED:
        return [("interrupted", client.reason)]
    if isinstance(client, Unreadable):
        hangs = "took too long" in client.reason
        return [("client_hangs" if hangs else "client_config_invalid", client.reason)]
    if isinstance(client, Absent):
        return []
    notes: list[_Note] = []
    strict = client.one("stricthostkeychecking", "ask")
    if strict in ("false", "no", "off", "accept-new"):
        text = f"StrictHostKeyChecking is {strict}, expected yes"
        notes.append(("strict_host_key_checking_off", text))
    path = client.one("controlpath", "none")
    if client.one("controlmaster", "false") not in ("false", "no") and path != "none":
        notes.append(("control_master", f"ControlPath is {path}, expected none for {want.user}"))
    user = client.one("user", login)
    if user != login:
        notes.append(("client_user_differs", f"User is {user}, expected {login}"))
    return notes


CHECK = Check(
    id="ssh_config",
    role=Role.SOURCE,
    summary="ssh accepts the configuration nova has",
    why=(
        "Nova starts ssh without a word about user, port or keys: all of it comes from the configuration nova sees. One bad "
        "keyword ends every ssh."
    ),
    evaluate=evaluate,
)
