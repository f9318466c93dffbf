"""What is known of other hosts: their records, and what a dial to one met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Optional


@dataclass(frozen=True)
class PublicKey:
    """The public half of a user or host key: type word and base64 blob as in a `.pub` file."""

    type: str
    blob: str
    comment: str = ""

    @property
    def line(self) -> str:
        return f"{self.type} {self.blob}"

    def same_key(self, other: PublicKey) -> bool:
        return (self.type, self.blob) == (other.type, other.blob)


@dataclass(frozen=True)
class Storage:
    """The file system that holds instances_path, as a peer record tells it."""

    mountpoint: str
    fstype: str
    source: str


@dataclass(frozen=True)
class Record:
    """One peer record, `peers.d/NAME.yaml`, validated.  `path` is where it lies."""

    name: str
    present: bool
    path: PurePosixPath
    address: str = ""
    names: tuple[str, ...] = ()
    port: int = 22
    host_keys: tuple[PublicKey, ...] = ()
    user_keys: tuple[PublicKey, ...] = ()
    user: str = "nova"
    uid: Optional[int] = None
    release: Optional[str] = None
    instances_path: str = ""
    transport: str = "ssh"
    image_cache: str = "_base"
    storage: Optional[Storage] = None
    issued_at: str = ""


@dataclass(frozen=True)
class RecordProblem:
    """Why a record, or one claim in it, is not used.  `where` is `FILE` or `FILE:LINE`."""

    reason: str  # a reason code
    where: str
    message: str
    name: Optional[str] = None


@dataclass(frozen=True)
class Records:
    """All of peers.d: usable records by name (this host's own included), and what was refused.

    `conflicted` are well-formed records two of which claim one name or address, or one of which claims ours: nothing is
    written for them.
    """

    records: tuple[Record, ...] = ()
    problems: tuple[RecordProblem, ...] = ()
    conflicted: tuple[Record, ...] = ()

    def peers(self, own: str) -> tuple[Record, ...]:
        return tuple(r for r in self.records if r.present and r.name != own)

    def withdrawn(self, own: str) -> tuple[Record, ...]:
        return tuple(r for r in self.records if not r.present and r.name != own)

    def named(self, name: str) -> Optional[Record]:
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, Record]:
        return {record.name: record for record in self.records}


@dataclass(frozen=True)
class Attempt:
    """One dial: Nova's lines to `address`, up to the first that failed.

    `passed` are the stages that succeeded, in order.  On success `reason` is None.  `shared` says the peer's directory is
    also ours.  Only a self-dial sees the modes of what arrived, and whether the qemu user itself could search the directory
    and read the file there, None where nobody could ask as it.
    """

    name: str
    address: str
    port: int
    passed: tuple[str, ...]
    stage: Optional[str]
    reason: Optional[str]
    detail: str
    seconds: float
    at: datetime
    unknown: bool = False
    skipped: bool = False
    shared: bool = False
    server_key: Optional[str] = None  # fingerprint the peer showed
    directory_mode: Optional[int] = None
    file_mode: Optional[int] = None
    qemu_enters: Optional[bool] = None
    qemu_reads: Optional[bool] = None
