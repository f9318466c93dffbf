"""Where on a host nova-compute and the sshd that peers reach live, and who owns what they read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Optional


@dataclass(frozen=True)
class Seat:
    """A process under another root than ours: to look where it looks is to be in its container.

    `namespace` is the inode of its mount namespace: a process that has its number later is not taken for it.
    """

    pid: int
    namespace: int


@dataclass(frozen=True)
class Layout:
    """How this host is laid out.  `why` is what speaks for it.

    `client` is where nova-compute runs ssh and `server` where the sshd is that peers reach; None is the host itself.
    `login` is the account peers log in as.  `port` is the one they dial where several could be.
    `qemu` is the account that reads disks, "" for the distribution's.
    `container` is what the engine's own `exec` is asked to start Nova's lines in; "" where we enter ourselves.
    What lies below `owned` belongs to `owner` ("" is nobody): it is reported and not rewritten.
    """

    profile: str
    why: str
    login: str
    client: Optional[Seat] = None
    server: Optional[Seat] = None
    port: Optional[int] = None
    qemu: str = ""
    container: str = ""
    owner: str = ""
    owned: tuple[PurePosixPath, ...] = ()
    server_missing: str = ""  # why there is no sshd to look at, where it should live in a container

    @property
    def split(self) -> bool:
        """Whether what peers log in to is looked at in another place than nova-compute's own."""
        return self.client != self.server or bool(self.server_missing)


PACKAGE = Layout("package", "nothing on this host speaks of another", "nova")
