"""What ssh, run as nova, would use: its configuration, its keys, its known_hosts files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Union

from agent.formats import keys, places, ssh_blocks, ssh_output
from agent.formats.escape import visible
from agent.host import Host
from agent.model import (
    Absent,
    Account,
    ClientConfig,
    File,
    Identity,
    NovaConfig,
    PublicKey,
    Record,
    Unreadable,
)
from agent.observe.accounts import People

Seen = Union[File, Absent, Unreadable]
Config = Union[ClientConfig, Absent, Unreadable]
SSH_CONFIG = PurePosixPath("/etc/ssh/ssh_config")
_ASKING = 10.0  # seconds
# `ssh -G` is asked for each peer only where Host or Match blocks could tell them apart.
_MOST_ASKED = 30


@dataclass(frozen=True)
class Client:
    configs: Mapping[str, Config] = field(default_factory=dict)
    identities: tuple[Identity, ...] = ()
    files: Mapping[PurePosixPath, Seen] = field(default_factory=dict)


def look(
    host: Host, people: People, peers: Sequence[Record], config: Union[NovaConfig, Unreadable]
) -> Client:
    account = people.account
    fixed = {p: host.file(p) for p in (SSH_CONFIG, places.DROP_IN, places.GLOBAL_KNOWN_HOSTS)}
    if not isinstance(account, Account) or not host.live:
        return Client({"": Unreadable("there is no nova account to ask ssh as")}, (), fixed)
    configs = _configs(host, account, peers, config)
    general = configs[""]
    if not isinstance(general, ClientConfig):
        return Client(configs, (), fixed)
    known = dict.fromkeys(
        path
        for each in configs.values()
        if isinstance(each, ClientConfig)
        for path in places.known_hosts(each, account)
    )
    private = places.identities(general, account)
    beside = [p.with_name(p.name + end) for p in private for end in (".pub", "-cert.pub")]
    directory = account.home / places.SSH_DIRECTORY
    plain = [*private, *(p.with_name(f"{p.name}-cert") for p in private)]
    seen = host.files_as(account, [*known, *beside], content=True, besides=[directory, *plain])
    identities = tuple(_identities(host, account, private, seen))
    return Client(configs, identities, {**seen, **fixed})


def _configs(
    host: Host, account: Account, peers: Sequence[Record], config: Union[NovaConfig, Unreadable]
) -> dict[str, Config]:
    first = peers[0].address if peers else "192.0.2.1"  # RFC 5737: an address nobody has
    configs = {"": _ask(host, account, first)}
    if isinstance(configs[""], ClientConfig) and _tells_apart(host, account):
        configs[""] = _ask(host, account, "192.0.2.1")
        for peer in peers[:_MOST_ASKED]:
            configs[peer.address] = _ask(host, account, peer.address)
            if isinstance(configs[peer.address], Unreadable):
                break  # once is enough to know that it hangs or is refused
    return configs


def _ask(host: Host, account: Account, address: str) -> Config:
    """`ssh -G` as nova: run as root it would run nova's `Match exec` as root."""
    if not host.can_be(account):
        return Unreadable(f"only root can ask ssh as {account.name}")
    done = host.run(["ssh", "-G", address, "true"], account=account, timeout=_ASKING)
    if done.missing:
        return Absent()
    if done.returncode is None and host.over:
        return Unreadable(places.RUN_ENDED)
    if done.returncode is None:
        return Unreadable("ssh -G took too long: is there a `Match exec` in nova's configuration?")
    if not done.ok:
        return Unreadable(
            visible(done.stderr.strip().splitlines()[0] if done.stderr.strip() else "ssh -G failed")
        )
    return ssh_output.client_config(done.stdout)


def _tells_apart(host: Host, account: Account) -> bool:
    """Whether some configuration file has a Host or Match block other than for everybody."""
    directory = host.names(SSH_CONFIG.parent / "ssh_config.d")
    dropped = (
        [SSH_CONFIG.parent / "ssh_config.d" / n for n in directory]
        if isinstance(directory, tuple)
        else []
    )
    own = account.home / places.SSH_DIRECTORY / "config"
    seen = [host.file(p) for p in (SSH_CONFIG, *dropped) if p != places.DROP_IN]
    seen += host.files_as(account, [own], content=True).values()
    return any(ssh_blocks.selective(s.content) for s in seen if isinstance(s, File) and s.content)


def _identities(
    host: Host,
    account: Account,
    private: Iterable[PurePosixPath],
    seen: Mapping[PurePosixPath, Seen],
) -> Iterable[Identity]:
    for path in private:
        file = seen[path]
        if isinstance(file, Absent):
            continue
        certificate = seen[path.with_name(path.name + "-cert.pub")]
        yield Identity(
            path=path,
            file=file,
            key=_public_half(host, account, path, file),
            offered=_offered(seen[path.with_name(path.name + ".pub")]),
            certificate=_described(host, account, path) if isinstance(certificate, File) else None,
        )


def _public_half(
    host: Host, account: Account, path: PurePosixPath, file: Union[File, Unreadable]
) -> Union[PublicKey, Unreadable]:
    """`ssh-keygen -y` as nova.  A FIFO would hold it up for ever, so only regular files are tried."""
    if isinstance(file, Unreadable):
        return file
    if file.kind.value != "file":
        return Unreadable(f"is a {file.kind.value}")
    done = host.run(["ssh-keygen", "-y", "-P", "", "-f", str(path)], account=account, timeout=10)
    if done.missing:
        return Unreadable(places.NO_KEYGEN)
    if done.returncode is None and host.over:
        return Unreadable(places.RUN_ENDED)
    key = keys.parse_public(done.stdout.strip()) if done.ok else None
    if key is not None:
        return key
    lines = done.stderr.strip().splitlines() or ["ssh-keygen -y failed"]
    return Unreadable(visible(lines[-1]))


def _offered(seen: Seen) -> Union[PublicKey, Absent, Unreadable]:
    """A `.pub` file that is missing or does not parse is harmless: ssh takes the public half from the private file."""
    if not isinstance(seen, File) or seen.content is None:
        return seen if not isinstance(seen, File) else Unreadable("is not a regular file")
    key = keys.parse_public(seen.content.decode("utf-8", "replace").strip())
    return key if key is not None else Unreadable("is no public key")


def _described(host: Host, account: Account, path: PurePosixPath) -> str:
    certificate = str(path) + "-cert.pub"
    return host.run(["ssh-keygen", "-L", "-f", certificate], account=account, timeout=10).stdout
