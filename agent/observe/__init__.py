"""Host -> Snapshot: look at everything a check may ask about, once, and judge nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Union

from agent.formats import inventory
from agent.formats.matching import canonical_address
from agent.host import Host
from agent.model import Host as Self
from agent.model import (
    Layout,
    Login,
    NovaConfig,
    Record,
    Records,
    Snapshot,
    Unreadable,
    frozen,
)
from agent.observe import accounts, client, instances, nova, records, server, tools
from agent.observe import layout as layouts
from agent.observe.accounts import People, Seen
from agent.settings import Settings


def observe(host: Host, want: Settings) -> Snapshot:
    """Everything local.  What needs the network (dials) is added by the pipeline."""
    layout = layouts.find(host, want)
    if isinstance(layout, Unreadable):
        return _unseen(host, want, layout)
    inside, door = host.at(layout.client), host.at(layout.server)
    people = accounts.read(inside, want.user, want.shell)
    config = nova.config(inside, want, people.account)
    itself, inventoried, peers = _relations(inside, want, config)
    apart = layout.split or layout.login != want.user
    visited = accounts.read(door, layout.login, want.shell) if apart else people
    daemon = _daemon(door, layout, visited, itself, peers)
    calls = client.look(inside, people, peers, config)
    files, served = {**people.files, **calls.files}, {**visited.files, **daemon.files}
    return Snapshot(
        taken_at=host.now(),
        host=replace(itself, host_keys=daemon.host_keys),
        account=people.account,
        password=people.password,
        nova=config,
        files=frozen(files if layout.split else {**files, **daemon.files}),
        identities=calls.identities,
        client=frozen(calls.configs),
        server=frozen(daemon.configs),
        listening=daemon.listening,
        tools=frozen(tools.find(inside, people.account, config)),
        instances=instances.look(inside, people, config, inventoried),
        records=inventoried,
        qemu=people.account if layout.qemu == want.user else people.qemu,
        groups=frozen(people.groups),
        layout=layout,
        login=_login(visited, served) if apart else None,
        largest_file=daemon.largest_file,
    )


def _login(people: People, files: Mapping[PurePosixPath, Seen]) -> Login:
    return Login(people.account, people.password, frozen(files), frozen(people.groups))


def _daemon(
    door: Host, layout: Layout, people: People, itself: Self, peers: Sequence[Record]
) -> server.Daemon:
    if layout.server_missing:
        return server.Daemon({"": Unreadable(layout.server_missing)})
    return server.look(door, people, itself, peers)


def _relations(
    host: Host, want: Settings, config: Union[NovaConfig, Unreadable]
) -> tuple[Self, Records, tuple[Record, ...]]:
    """Who this host is, and whom it knows.  Records and names are the machine's own, also where Nova lives in a container."""
    texts = records.texts(host.outside)
    own = config.host if isinstance(config, NovaConfig) else host.name.lower()
    itself = _itself(host, config)
    inventoried = inventory.read(texts, own, _claims(itself, config), want.trust_networks)
    return itself, inventoried, inventoried.peers(own)


def _unseen(host: Host, want: Settings, why: Unreadable) -> Snapshot:
    """Where it is not known where to look, nothing is looked at: files in the wrong place would only mislead."""
    itself, inventoried, _ = _relations(host, want, why)
    return Snapshot(
        taken_at=host.now(),
        host=itself,
        account=why,
        password=why,
        nova=why,
        files=frozen({}),
        identities=(),
        client=frozen({"": why}),
        server=frozen({"": why}),
        listening=why,
        tools=frozen({}),
        instances=why,
        records=inventoried,
        qemu=why,
        layout=why,
        largest_file=why,
    )


def _itself(host: Host, config: Union[NovaConfig, Unreadable]) -> Self:
    addresses = host.addresses() if host.live else ()
    dialled: Union[tuple[str, ...], Unreadable] = ()
    if isinstance(config, NovaConfig) and host.live and config.address:
        dialled = host.resolve(config.address)
    unresolved = dialled.reason if isinstance(dialled, Unreadable) else ""
    return Self(
        name=host.name,
        addresses=addresses,
        host_keys=(),
        privileged=host.privileged,
        live=host.live,
        names=records.own_names(host.outside, addresses, config),
        dialled=() if isinstance(dialled, Unreadable) else dialled,
        unresolved=unresolved,
    )


def _claims(itself: Self, config: Union[NovaConfig, Unreadable]) -> tuple[str, ...]:
    address = (canonical_address(config.address),) if isinstance(config, NovaConfig) else ()
    foreign_loopbacks = (a for a in itself.addresses if not a.startswith(("127.", "::1", "fe80:")))
    return (*itself.names, *foreign_loopbacks, *(a for a in address if a))


__all__ = ["observe"]
