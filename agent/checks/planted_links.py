"""No link stands in nova's home where ssh's files belong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from agent.formats import places
from agent.formats.access import link_on_the_way
from agent.model import (
    Account,
    Check,
    ClientConfig,
    Finding,
    Role,
    ServerConfig,
    Snapshot,
    passed,
    skipped,
    warned,
)
from agent.settings import Settings


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    account = snapshot.account
    if not isinstance(account, Account):
        yield skipped("links", f"there is no account {want.user} whose home could hold one")
        return
    found = [
        (path, link)
        for path in _written_to(snapshot, account)
        if (link := link_on_the_way(snapshot, account, path))
    ]
    for path, link in found:
        text = f"{link} is a symbolic link, expected none: the agent neither reads nor writes through it as root"
        remedy = (
            f"if the link is meant, keep {path} right by hand; if not, remove it as {account.name}"
        )
        yield warned(str(path), "planted_link", text, remedy=remedy)
    if not found:
        yield passed("links", f"no link in {account.home} stands where the agent would write")


def _written_to(snapshot: Snapshot, account: Account) -> tuple[PurePosixPath, ...]:
    server, client = snapshot.server_for(""), snapshot.client_for("")
    paths = [account.home / places.SSH_DIRECTORY]
    if isinstance(server, ServerConfig):
        paths += places.authorized_keys(server, account)[:1]
    if isinstance(client, ClientConfig):
        paths += [p for p in places.known_hosts(client, account) if account.home in p.parents][:1]
    if not link_on_the_way(snapshot, account, paths[0]):
        paths += [i.path.with_name(f"{i.path.name}.pub") for i in snapshot.identities]
    return tuple(path for path in paths if account.home in path.parents)


CHECK = Check(
    id="planted_links",
    role=Role.BOTH,
    summary="No link stands in nova's home where ssh's files belong",
    why=(
        "nova owns its home and can make a link lead anywhere. ssh and sshd follow it as nova; root must not, so what lies "
        "behind a link is left to people."
    ),
    evaluate=evaluate,
)
