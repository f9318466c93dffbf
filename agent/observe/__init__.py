"""Host -> Snapshot: look at everything a check may ask about, once, and judge nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Union

from agent.formats import inventory
from agent.formats.matching import canonical_address
from agent.host import Host
from agent.model import Host as Self
from agent.model import NovaConfig, Snapshot, Unreadable, frozen
from agent.observe import accounts, client, instances, nova, records, server, tools
from agent.settings import Settings


def observe(host: Host, want: Settings) -> Snapshot:
    """Everything local.  What needs the network (dials) is added by the pipeline."""
    people = accounts.read(host, want.user, want.shell)
    config = nova.config(host, want, people.account)
    texts = records.texts(host)
    own = config.host if isinstance(config, NovaConfig) else host.name.lower()
    itself = _itself(host, config)
    inventoried = inventory.read(texts, own, _claims(itself, config), want.trust_networks)
    peers = inventoried.peers(own)
    daemon = server.look(host, people, itself, peers)
    calls = client.look(host, people, peers, config)
    return Snapshot(
        taken_at=host.now(),
        host=replace(itself, host_keys=daemon.host_keys),
        account=people.account,
        password=people.password,
        nova=config,
        files=frozen({**people.files, **calls.files, **daemon.files}),
        identities=calls.identities,
        client=frozen(calls.configs),
        server=frozen(daemon.configs),
        listening=daemon.listening,
        tools=frozen(tools.find(host, people.account, config)),
        instances=instances.look(host, people, config, inventoried),
        records=inventoried,
        qemu=people.qemu,
        groups=frozen(people.groups),
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
        names=records.own_names(host, addresses, config),
        dialled=() if isinstance(dialled, Unreadable) else dialled,
        unresolved=unresolved,
    )


def _claims(itself: Self, config: Union[NovaConfig, Unreadable]) -> tuple[str, ...]:
    address = (canonical_address(config.address),) if isinstance(config, NovaConfig) else ()
    foreign_loopbacks = (a for a in itself.addresses if not a.startswith(("127.", "::1", "fe80:")))
    return (*itself.names, *foreign_loopbacks, *(a for a in address if a))


__all__ = ["observe"]
