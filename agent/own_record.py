"""This host's own peer record, from what was observed.  Pure."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Union

from agent.model import (
    Account,
    Instances,
    Mount,
    NovaConfig,
    PublicKey,
    Record,
    Snapshot,
    Storage,
    Unreadable,
)
from agent.settings import PEERS

_MOST_KEYS, _MOST_USER_KEYS, _MOST_NAMES = 8, 4, 16


def build(snapshot: Snapshot) -> Union[Record, Unreadable]:
    """The record, or why it cannot be known.  `issued_at` stays that of the present own record while nothing else differs."""
    nova, account = snapshot.nova, snapshot.account
    if isinstance(nova, Unreadable):
        return nova
    if not isinstance(account, Account):
        return (
            account if isinstance(account, Unreadable) else Unreadable("there is no nova account")
        )
    if not nova.address:
        return Unreadable("; ".join(nova.problems) or "the address peers dial is not known")
    if not snapshot.host.host_keys:
        return Unreadable("no host key of sshd can be read")
    hidden = _hidden_key(snapshot)
    if hidden:
        return Unreadable(hidden)
    record = Record(
        name=nova.host,
        present=True,
        path=PEERS / f"{nova.host}.yaml",
        address=_spelled(nova.address),
        names=snapshot.host.names[:_MOST_NAMES],
        port=snapshot.port,
        host_keys=snapshot.host.host_keys[:_MOST_KEYS],
        user_keys=_user_keys(snapshot, account, nova.host),
        user=account.name,
        uid=account.uid,
        release=nova.release,
        instances_path=str(nova.instances_path),
        transport=nova.transport,
        image_cache=nova.image_cache,
        storage=_storage(snapshot),
    )
    return replace(record, issued_at=_issued(snapshot, record))


def _spelled(address: str) -> str:
    """As a reader of the record will compare it."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address.lower()


def _hidden_key(snapshot: Snapshot) -> str:
    """Why the public halves cannot be known; "" where they are, also when there is no key yet."""
    client = snapshot.client_for("")
    if isinstance(client, Unreadable) and snapshot.host.live:
        return f"which keys nova has is not known: {client.reason}"
    keys = [identity.key for identity in snapshot.identities]
    if keys and all(isinstance(key, Unreadable) for key in keys):
        path, key = snapshot.identities[0].path, keys[0]
        return f"the public half of {path} cannot be read: {key.reason if isinstance(key, Unreadable) else ''}"
    return ""


def doubt(snapshot: Snapshot) -> str:
    """What is odd about the record though it says what Nova would do; "" where nothing is."""
    ours, dialled = set(snapshot.host.addresses), snapshot.host.dialled
    if snapshot.host.unresolved:
        return snapshot.host.unresolved
    if isinstance(snapshot.nova, NovaConfig) and snapshot.host.live and not ours & set(dialled):
        return (
            f"{snapshot.nova.address}, the address peers will dial, is on no interface of this host"
        )
    return ""


def differences(told: Record, true: Record) -> tuple[str, ...]:
    """The keys in which a record no longer says what is true."""
    names = (
        "address",
        "names",
        "port",
        "host_keys",
        "user_keys",
        "user",
        "uid",
        "release",
        "instances_path",
        "transport",
        "image_cache",
        "storage",
    )
    return tuple(n for n in names if _plain(getattr(told, n)) != _plain(getattr(true, n)))


def _plain(value: object) -> object:
    """Key comments do not count."""
    if isinstance(value, tuple):
        return sorted(v.line if isinstance(v, PublicKey) else str(v) for v in value)
    return value


def _user_keys(snapshot: Snapshot, account: Account, name: str) -> tuple[PublicKey, ...]:
    keys = (i.key for i in snapshot.identities if isinstance(i.key, PublicKey))
    comment = f"{account.name}@{name}"
    return tuple(PublicKey(k.type, k.blob, comment) for k in keys)[:_MOST_USER_KEYS]


def _storage(snapshot: Snapshot) -> Union[Storage, None]:
    found = snapshot.instances
    if not isinstance(found, Instances) or not isinstance(found.mount, Mount):
        return None
    return Storage(str(found.mount.mountpoint), found.mount.fstype, found.mount.source)


def _issued(snapshot: Snapshot, record: Record) -> str:
    before = snapshot.records.named(record.name)
    if (
        before is not None
        and before.present
        and before.issued_at
        and not differences(before, record)
    ):
        return before.issued_at
    return snapshot.taken_at.strftime("%Y-%m-%dT%H:%M:%SZ")
