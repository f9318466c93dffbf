"""What `--fix` may do: end states, never commands to run.  The union is closed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import NoReturn, Optional, Union


@dataclass(frozen=True)
class MakeDirectory:
    path: PurePosixPath
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class SetOwner:
    """Owner of one inode, never recursive.  `was` is what was observed: apply refuses anything else."""

    path: PurePosixPath
    uid: int
    gid: int
    was: tuple[int, int]


@dataclass(frozen=True)
class SetMode:
    path: PurePosixPath
    mode: int
    was: int


@dataclass(frozen=True)
class WriteFile:
    """The whole text of a file that is ours alone.  `replaces` is what was observed, None for a file not there."""

    path: PurePosixPath
    content: bytes
    mode: int
    uid: int
    gid: int
    replaces: Optional[bytes] = None


@dataclass(frozen=True)
class HaveLines:
    """Lines that a file shared with ssh, tools or people has, and lines it has not.

    Foreign lines are none of our business: the edit is one append and one-byte writes (formats.lines).
    `observed` is the text that was seen, None where there was no file; mode and ids are for a file that has to be made.
    """

    path: PurePosixPath
    present: tuple[bytes, ...]
    absent: tuple[bytes, ...]
    mode: int
    uid: int
    gid: int
    observed: Optional[bytes] = None

    def __hash__(self) -> int:
        # Every finding about a peer carries the same action with a line for each peer.
        return hash(self.path)


@dataclass(frozen=True)
class MakeKeyPair:
    """An ed25519 key pair of `user` where there is none, its public half accepted in `accepted_in` on this host."""

    path: PurePosixPath
    user: str
    uid: int
    gid: int
    comment: str
    accepted_in: Optional[PurePosixPath] = None


@dataclass(frozen=True)
class SetShell:
    user: str
    shell: PurePosixPath
    was: PurePosixPath


# The order of the union is the order of execution.
Action = Union[MakeDirectory, SetOwner, SetMode, WriteFile, HaveLines, MakeKeyPair, SetShell]


@dataclass(frozen=True)
class Step:
    """One action and every finding (`check: subject`) that asked for it."""

    action: Action
    because: tuple[str, ...]


@dataclass(frozen=True)
class Conflict:
    """Two end states asked for one thing: neither is applied."""

    slot: str
    actions: tuple[Action, ...]
    because: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    steps: tuple[Step, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


class Result(Enum):
    DONE = "done"
    STALE = "stale"
    FAILED = "failed"


@dataclass(frozen=True)
class StepResult:
    step: Step
    result: Result
    message: str


def assert_never(value: NoReturn) -> NoReturn:
    """Ends a chain over a closed union, so that the type checker sees a missing branch."""
    raise AssertionError(f"unhandled value: {value!r}")
