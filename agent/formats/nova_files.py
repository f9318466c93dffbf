"""Which configuration files nova-compute reads, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

Location = tuple[str, PurePosixPath]  # "file" or "dir"

DEBIAN_DEFAULT: tuple[Location, ...] = (
    ("file", PurePosixPath("/etc/nova/nova.conf")),
    ("file", PurePosixPath("/etc/nova/nova-compute.conf")),
)
_DEBIAN_STARTER = PurePosixPath("/etc/init.d/nova-compute")
_RDO_DISTRIBUTION = PurePosixPath("/usr/share/nova/nova-dist.conf")
_SEARCHED = (PurePosixPath("/etc/nova"), PurePosixPath("/etc"))
_BASENAMES = ("nova", "nova-compute")


def locations(argv: Sequence[str]) -> tuple[Location, ...]:
    """The configuration that a nova-compute command line names, in its order."""
    return tuple(_named(argv))


def default_locations(exists: Callable[[PurePosixPath], bool]) -> tuple[Location, ...]:
    """What nova-compute would read if the distribution started it, least important first.

    Debian's starter names both files, so that the directories come before them (see `sources`).
    """
    if exists(_DEBIAN_STARTER):
        found = (*_default_directories(exists), *DEBIAN_DEFAULT)
    else:
        found = (*_default_files(exists), *_default_directories(exists))
    return tuple(location for location in found if exists(location[1]))


def sources(argv: Sequence[str], exists: Callable[[PurePosixPath], bool]) -> tuple[Location, ...]:
    """Everything a running nova-compute read, least important first.

    A command line that names only files still has the default directories read before them, and
    the other way round.
    """
    named = locations(argv)
    kinds = {kind for kind, _ in named}
    files = () if "file" in kinds else _default_files(exists)
    directories = () if "dir" in kinds else _default_directories(exists)
    return (*files, *directories, *named)


def _named(argv: Sequence[str]) -> Iterator[Location]:
    kinds = {"--config-file": "file", "--config-dir": "dir"}
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        if option not in kinds:
            continue
        if not equals:
            value = next(words, "")
        if value:
            yield kinds[option], PurePosixPath(value)


def _default_files(exists: Callable[[PurePosixPath], bool]) -> tuple[Location, ...]:
    distribution = (_RDO_DISTRIBUTION,) if exists(_RDO_DISTRIBUTION) else ()
    found = _first_of_each(".conf", exists)
    return tuple(("file", path) for path in (*distribution, *found))


def _default_directories(
    exists: Callable[[PurePosixPath], bool],
) -> tuple[Location, ...]:
    return tuple(("dir", path) for path in _first_of_each(".conf.d", exists))


def _first_of_each(
    extension: str, exists: Callable[[PurePosixPath], bool]
) -> Iterator[PurePosixPath]:
    for basename in _BASENAMES:
        paths = (directory / (basename + extension) for directory in _SEARCHED)
        found = next((path for path in paths if exists(path)), None)
        if found is not None:
            yield found
