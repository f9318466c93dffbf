"""What was seen on a host.  Nothing here judges; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Optional, TypeVar, Union

from agent.model.layout import PACKAGE, Layout
from agent.model.limits import SizeLimit
from agent.model.peers import Attempt, PublicKey, Records

K = TypeVar("K")
V = TypeVar("V")


def frozen(mapping: Mapping[K, V]) -> Mapping[K, V]:
    """A read-only copy, so that a frozen dataclass stays frozen."""
    return MappingProxyType(dict(mapping))


def nothing() -> Mapping[K, V]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Absent:
    """Looked for and not there.  `link` is where a symbolic link of that name leads to nothing."""

    link: str = ""


@dataclass(frozen=True)
class Unreadable:
    """Could not be determined.  Never treat this as Absent."""

    reason: str


class Kind(Enum):
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "symbolic link"
    PIPE = "named pipe"
    OTHER = "special file"


@dataclass(frozen=True)
class File:
    """One inode.  `content` is None for directories, secrets and files too large to read.

    `mode` holds the permission bits only (0o7777); ids are numeric because names lie under a foreign root.
    `links` is st_nlink.  `real` is where the path leads once links are resolved, as nova or root saw it.
    """

    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int = 0
    links: int = 1
    content: Optional[bytes] = None
    real: Optional[PurePosixPath] = None


@dataclass(frozen=True)
class Password:
    """What shadow(5) says, without the hash.  Days are counted from 1970-01-01."""

    usable: bool  # somebody could log in with it
    locked: bool  # the field starts with "!"
    last_change: Optional[int] = None
    max_age: Optional[int] = None
    expires: Optional[int] = None


@dataclass(frozen=True)
class Account:
    """One passwd(5) entry.

    `groups` are the ids of all groups a login has, the primary one included; `group_names` those of them that have a name.
    `lines` is how many passwd lines have this name: the first counts, and usermod touches none where there are two.
    """

    name: str
    uid: int
    gid: int
    home: PurePosixPath
    shell: PurePosixPath
    groups: tuple[int, ...] = ()
    group_names: tuple[str, ...] = ()
    lines: int = 1


@dataclass(frozen=True)
class Identity:
    """One private key file that ssh would offer.  The private text never enters a Snapshot.

    `file` is the private file (content None).  `key` is the public half derived from the private one by `ssh-keygen -y`
    run as nova; `offered` what the `.pub` file beside it says, which ssh offers instead when it parses.
    `certificate` is `ssh-keygen -L` text of `-cert.pub`.
    """

    path: PurePosixPath
    file: Union[File, Unreadable]
    key: Union[PublicKey, Unreadable]
    offered: Union[PublicKey, Absent, Unreadable]
    certificate: Optional[str] = None


@dataclass(frozen=True)
class ClientConfig:
    """`ssh -G ADDRESS` as nova: lower-case keyword to its values in order."""

    values: Mapping[str, tuple[str, ...]]

    def one(self, keyword: str, default: str = "") -> str:
        return self.values.get(keyword, (default,))[0]

    def words(self, keyword: str) -> tuple[str, ...]:
        return tuple(word for value in self.values.get(keyword, ()) for word in value.split())


@dataclass(frozen=True)
class ServerConfig:
    """`sshd -T -C user=...,addr=ADDRESS`: the effective answer for nova from one address.

    `ports` are the configured ones; `Snapshot.listening` has those a daemon really listens on.  `newer` is a file that
    was changed after the running daemon read it, "" where there is none: what it does may not be what is said here.
    """

    values: Mapping[str, tuple[str, ...]]
    ports: tuple[int, ...] = (22,)
    debian: bool = False  # secure_permissions() of the user-group-modes patch
    newer: str = ""

    def one(self, keyword: str, default: str = "") -> str:
        return self.values.get(keyword, (default,))[0]

    def words(self, keyword: str) -> tuple[str, ...]:
        return tuple(word for value in self.values.get(keyword, ()) for word in value.split())


@dataclass(frozen=True)
class NovaConfig:
    """nova.conf as nova-compute sees it.

    `host` is lower case.  `address` is what a source dials to reach this host.  `origin` says, for each option read, the
    file and line or `environment` or `default`.  `running` is the pid of nova-compute and `runs_as` its uid, None when it does not run.
    """

    host: str
    address: str
    my_ip: str
    instances_path: PurePosixPath
    transport: str = "ssh"
    image_cache: str = "_base"
    release: Optional[str] = None
    tempdir: Optional[str] = None
    origin: Mapping[str, str] = field(default_factory=nothing)
    files: tuple[PurePosixPath, ...] = ()
    running: Optional[int] = None
    runs_as: Optional[int] = None
    problems: tuple[str, ...] = ()  # options that could not be read, each a sentence


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo or fstab.  `source` as written there."""

    mountpoint: PurePosixPath
    fstype: str
    source: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Instances:
    """The instances directory and the way to it.

    `way` lists every directory from / to it (itself last) with what stat said.  `writable` is nova's own answer.
    `qemu_enters` is the qemu user's own answer (search permission on the directory), None where nobody could ask as it.
    Blocks and inodes are those an unprivileged user can have; None where the file system does not count them.
    `leftovers` are names below it that a failed resize left (`*_resize`), each with its owner's uid and whether nova can remove it.
    `kept` are the directories that Nova keeps there for itself, where they are there, and whether nova can write in each.
    """

    path: PurePosixPath
    way: tuple[tuple[PurePosixPath, Union[File, Absent, Unreadable]], ...]
    writable: Union[bool, Unreadable]
    mount: Union[Mount, Unreadable]
    free_bytes: Optional[int] = None
    free_inodes: Optional[int] = None
    expected_mounts: tuple[tuple[PurePosixPath, str], ...] = ()  # mountpoint, who says so
    remembered: Optional[Mount] = None  # what a daemon saw here earlier
    mount_is_ours_alone: bool = False  # perhaps: what everybody sees mounted was not to be seen
    leftovers: tuple[tuple[str, int, bool], ...] = ()
    qemu_enters: Optional[bool] = None
    kept: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class Tool:
    """A program nova-compute starts by name: where its own PATH finds it."""

    name: str
    path: Union[PurePosixPath, Absent]
    executable: bool = False


@dataclass(frozen=True)
class Host:
    """This host's own public identity, from disk.  `name` is the kernel's; Nova's is `NovaConfig.host`."""

    name: str
    addresses: tuple[str, ...]
    host_keys: tuple[PublicKey, ...]
    privileged: bool
    live: bool  # False for --root
    names: tuple[str, ...] = ()  # other names peers may dial it by
    # What NovaConfig.address resolves to here; itself when it is an address.
    dialled: tuple[str, ...] = ()
    unresolved: str = ""  # why that is not known


@dataclass(frozen=True)
class Login:
    """What peers log in to, where that is another account than Nova's own or lies in another place."""

    account: Union[Account, Absent, Unreadable]
    password: Union[Password, Absent, Unreadable]
    files: Mapping[PurePosixPath, Union[File, Absent, Unreadable]]
    groups: Mapping[int, tuple[str, ...]]


@dataclass(frozen=True)
class Snapshot:
    """Everything a check may know.  Frozen; built by observe, archived by archive."""

    taken_at: datetime
    host: Host
    account: Union[Account, Absent, Unreadable]
    password: Union[Password, Absent, Unreadable]
    nova: Union[NovaConfig, Unreadable]
    # Read as nova where the path leads through nova's home: content only of key lists, known_hosts and configuration.
    files: Mapping[PurePosixPath, Union[File, Absent, Unreadable]]
    identities: tuple[Identity, ...]
    # `ssh -G` by address dialled, "" for any other; Absent where there is no ssh.
    client: Mapping[str, Union[ClientConfig, Absent, Unreadable]]
    # `sshd -T -C addr=` by client address, "" for any other; Absent where there is no sshd.
    server: Mapping[str, Union[ServerConfig, Absent, Unreadable]]
    listening: Union[tuple[int, ...], Unreadable]  # ports an sshd listens on
    tools: Mapping[str, Tool]
    instances: Union[Instances, Unreadable]
    records: Records
    qemu: Union[Account, Absent, Unreadable]
    # By gid every member's name.
    groups: Mapping[int, tuple[str, ...]] = field(default_factory=nothing)
    dials: tuple[Attempt, ...] = ()  # to peers, in this run
    self_dials: tuple[Attempt, ...] = ()
    # By a peer's service name whether it resolves here.
    resolved: Mapping[str, bool] = field(default_factory=nothing)
    layout: Union[Layout, Unreadable] = PACKAGE
    login: Optional[Login] = None
    largest_file: Union[SizeLimit, Unreadable] = Unreadable(
        "nobody looked"
    )  # that a login may write

    @property
    def port(self) -> int:
        """The port peers dial unless they are told otherwise: the layout's where an sshd listens on it."""
        listening = self.listening if isinstance(self.listening, tuple) else ()
        usual = (self.layout.port if isinstance(self.layout, Layout) else None) or 22
        return usual if not listening or usual in listening else listening[0]

    def at_login(self) -> Snapshot:
        """The same host as the account sees it that peers log in to."""
        if self.login is None:
            return self
        seen = self.login
        return replace(
            self,
            account=seen.account,
            password=seen.password,
            files=seen.files,
            groups=seen.groups,
        )

    def client_for(self, address: str) -> Union[ClientConfig, Absent, Unreadable]:
        return self.client.get(address, self.client.get("", Unreadable("ssh was not asked")))

    def server_for(self, address: str) -> Union[ServerConfig, Absent, Unreadable]:
        return self.server.get(address, self.server.get("", Unreadable("sshd was not asked")))

    def file(self, path: PurePosixPath) -> Union[File, Absent, Unreadable]:
        return self.files.get(path, Unreadable(f"{path} was not looked at"))
