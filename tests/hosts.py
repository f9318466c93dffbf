"""A healthy compute node as a Snapshot; a test spells out only what differs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any, Optional

from agent.formats import authorized_keys, places
from agent.formats.trust import host_trust
from agent.model import (
    Absent,
    Account,
    Attempt,
    ClientConfig,
    File,
    Host,
    Identity,
    Instances,
    Kind,
    Mount,
    NovaConfig,
    Password,
    PublicKey,
    Record,
    Records,
    ServerConfig,
    SizeLimit,
    Snapshot,
    Storage,
    Tool,
    frozen,
)

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=timezone.utc)
TODAY = 20779  # the day of NOW since 1970-01-01
P = PurePosixPath
HOME, SSH = P("/var/lib/nova"), P("/var/lib/nova/.ssh")
KEY, KEYS = SSH / "id_ed25519", SSH / "authorized_keys"
INSTANCES = P("/var/lib/nova/instances")
NOVA_UID = 64060
NOVA = Account("nova", NOVA_UID, NOVA_UID, HOME, P("/bin/bash"), (NOVA_UID,), ("nova",))
ALGORITHMS = "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"


def a_key(seed: str, comment: str = "") -> PublicKey:
    body = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + hashlib.sha256(seed.encode()).digest()
    return PublicKey("ssh-ed25519", base64.b64encode(body).decode(), comment)


def a_file(content: Optional[bytes] = None, *, mode: int = 0o644, **changes: Any) -> File:
    return replace(File(Kind.FILE, mode, 0, 0, content=content), **changes)


def a_directory(mode: int = 0o755, uid: int = 0, gid: Optional[int] = None) -> File:
    return File(Kind.DIRECTORY, mode, uid, uid if gid is None else gid)


def novas(content: Optional[bytes] = None, mode: int = 0o600) -> File:
    return File(Kind.FILE, mode, NOVA_UID, NOVA_UID, content=content)


def a_peer(name: str, **changes: Any) -> Record:
    number = int("".join(c for c in name if c.isdigit()) or 200)
    record = Record(
        name=name,
        present=True,
        path=P(f"/etc/resize-agent/peers.d/{name}.yaml"),
        address=f"10.100.{number // 250}.{number % 250}",
        names=(f"{name}.example.org",),
        host_keys=(a_key(f"host {name}"),),
        user_keys=(a_key(f"nova@{name}"),),
        uid=NOVA_UID,
        instances_path=str(INSTANCES),
        storage=Storage("/", "ext4", "/dev/vda1"),
    )
    return replace(record, **changes)


def a_tombstone(name: str) -> Record:
    return Record(name, False, P(f"/etc/resize-agent/peers.d/{name}.yaml"))


def a_client(**values: str) -> ClientConfig:
    said = {
        "user": "nova",
        "port": "22",
        "stricthostkeychecking": "ask",
        "hostkeyalgorithms": ALGORITHMS,
        "identityfile": "~/.ssh/id_ed25519",
        "userknownhostsfile": "/var/lib/nova/.ssh/known_hosts",
        "globalknownhostsfile": "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
        " /etc/ssh/ssh_known_hosts.nova",
    }
    return ClientConfig(frozen({k: (v,) for k, v in {**said, **values}.items()}))


def a_server(*, debian: bool = True, **values: str) -> ServerConfig:
    said = {
        "usepam": "yes",
        "strictmodes": "yes",
        "pubkeyauthentication": "yes",
        "authorizedkeysfile": ".ssh/authorized_keys .ssh/authorized_keys2",
        "subsystem": "sftp /usr/lib/openssh/sftp-server",
        "maxsessions": "10",
    }
    lines = {k: (v,) for k, v in {**said, **values}.items() if v}
    return ServerConfig(frozen(lines), debian=debian)


def an_attempt(**changes: Any) -> Attempt:
    stages = ("resolve", "connect", "banner", "host_key", "auth", "shell", "directory", "copy")
    done = Attempt("compute1", "10.100.0.1", 22, stages, None, None, "", 0.4, NOW)
    return replace(done, **{"directory_mode": 0o755, "file_mode": 0o644, **changes})


def an_instances(**changes: Any) -> Instances:
    way = tuple((p, a_directory()) for p in (P("/"), P("/var"), P("/var/lib")))
    mine = tuple((p, a_directory(uid=NOVA_UID)) for p in (HOME, INSTANCES))
    mount = Mount(P("/"), "ext4", "/dev/vda1", ("rw",))
    found = Instances(INSTANCES, (*way, *mine), True, mount, 1 << 40, 1 << 20)
    return replace(found, **changes)


_OTHER_FILES: Mapping[PurePosixPath, Any] = {
    **{p: a_directory() for p in (P("/"), P("/var"), P("/var/lib"))},
    HOME: a_directory(uid=NOVA_UID),
    SSH: a_directory(0o700, NOVA_UID),
    SSH / "known_hosts": Absent(),
    SSH / "authorized_keys2": Absent(),
    P("/bin/bash"): a_file(mode=0o755),
    P("/bin/sh"): a_file(mode=0o755, real=P("/usr/bin/dash")),
    P("/etc/nologin"): Absent(),
    P("/run/nologin"): Absent(),
    P("/usr/lib/openssh/sftp-server"): a_file(mode=0o755),
    P("/etc/ssh/ssh_known_hosts"): Absent(),
    P("/etc/ssh/ssh_known_hosts2"): Absent(),
    P("/etc/ssh/ssh_config"): a_file(b"Include /etc/ssh/ssh_config.d/*.conf\nHost *\n"),
    places.DROP_IN: a_file(places.drop_in("nova")),
}


def a_host(*, peers: Optional[Iterable[Record]] = None, **changes: Any) -> Snapshot:
    """compute1, which trusts its peers (one, unless given) and is trusted by its own files.

    `files` are laid over the healthy ones; `host`, `nova` and `instances` may be mappings of the fields that differ; an
    account that is None does not exist; `client` and `server` may be the one answer for every address.
    """
    records = tuple(peers) if peers is not None else (a_peer("compute2"),)
    healthy = _healthy(records)
    if "account" in changes and changes["account"] is None:
        changes["account"] = Absent()
    for name in ("host", "nova", "instances", "password"):
        if isinstance(changes.get(name), dict):
            changes[name] = replace(getattr(healthy, name), **changes[name])
    for name in ("client", "server"):
        if name in changes and not isinstance(changes[name], dict):
            changes[name] = {"": changes[name]}
    files = {**healthy.files, **changes.pop("files", {})}
    return replace(healthy, files=frozen(files), **changes)


def _healthy(records: tuple[Record, ...]) -> Snapshot:
    own = a_key("nova@compute1")
    logins = [("compute1", own), *((r.name, k) for r in records for k in r.user_keys)]
    accepted = b"".join(authorized_keys.entry_line(name, key) + b"\n" for name, key in logins)
    snapshot = Snapshot(
        taken_at=NOW,
        host=Host(
            "compute1",
            ("127.0.0.1", "10.100.0.1", "::1"),
            (a_key("host compute1"),),
            privileged=True,
            live=True,
            names=("compute1.example.org",),
            dialled=("10.100.0.1",),
        ),
        account=NOVA,
        password=Password(usable=False, locked=True, last_change=TODAY - 100, max_age=99999),
        nova=NovaConfig(
            host="compute1",
            address="10.100.0.1",
            my_ip="10.100.0.1",
            instances_path=INSTANCES,
            release="26.2.2",
            origin={"[DEFAULT]my_ip": "/etc/nova/nova.conf:7"},
            files=(P("/etc/nova/nova.conf"), P("/etc/nova/nova-compute.conf")),
            running=812,
        ),
        files={**_OTHER_FILES, KEYS: novas(accepted)},
        identities=(Identity(KEY, novas(), own, own),),
        client={"": a_client()},
        server={"": a_server()},
        listening=(22,),
        tools={n: Tool(n, P("/usr/bin") / n, executable=True) for n in ("ssh", "scp", "rsync")},
        instances=an_instances(),
        records=Records(records),
        qemu=Account("libvirt-qemu", 64055, 108, P("/"), P("/usr/sbin/nologin"), (108,)),
        groups={NOVA_UID: ("nova",), 0: ("root",)},
        self_dials=(an_attempt(),),
        largest_file=SizeLimit(None, "nothing sets one"),
    )
    assert isinstance(snapshot.nova, NovaConfig)
    text = host_trust(snapshot, snapshot.nova).whole_file(b"")
    files = {**snapshot.files, places.GLOBAL_KNOWN_HOSTS: a_file(text)}
    return replace(snapshot, files=files)
