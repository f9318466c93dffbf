"""Command lines of container engines: `docker exec` and `podman exec` take the same words (docker-container-exec(1))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

ENGINES = (PurePosixPath("/usr/bin/docker"), PurePosixPath("/usr/bin/podman"))
# Seconds after which a program is ended in the container whose client has been ended here.
_AFTER = 1.0
_NO_PROGRAM = "timeout: failed to run command"
_ENGINES_OWN = ("Error", "OCI runtime")


def execute(
    engine: str,
    container: str,
    user: str,
    environment: Mapping[str, str],
    argv: Sequence[str],
    limit: float,
) -> list[str]:
    """The engine's client takes nothing with it when it is ended, so timeout(1) ends the program inside."""
    words = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
    inside = ["timeout", "--signal=KILL", f"{limit + _AFTER:.1f}", *argv]
    return [engine, "exec", "--user", user, *words, container, *inside]


def says_missing(stderr: str) -> bool:
    """Whether the container has no such program."""
    return stderr.startswith(_NO_PROGRAM)


def says_nothing(stderr: str) -> bool:
    """Whether it was the engine that failed, which says nothing about the program."""
    return stderr.startswith(_ENGINES_OWN)
