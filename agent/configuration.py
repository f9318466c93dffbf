"""The configuration as it lies on the host: read here, understood in settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Optional

from agent import settings
from agent.exit_status import Refusal
from agent.host import Host
from agent.model import File, Unreadable


def load(host: Host, config: Optional[str]) -> settings.Settings:
    """`config` replaces the file and the drop-ins, and is read outside the root.  Raises Refusal, DocumentError."""
    if config is not None:
        try:
            return settings.parse([(config, Path(config).read_bytes())])
        except OSError as error:
            raise Refusal(f"{config}: {error.strerror}") from None
    names = host.names(settings.DROP_INS)
    if isinstance(names, Unreadable):
        raise Refusal(names.reason)
    found = names if isinstance(names, tuple) else ()
    drop_ins = [n for n in found if n.endswith(".yaml") and not n.startswith(".")]
    paths = [settings.CONFIG, *(settings.DROP_INS / name for name in drop_ins)]
    return settings.parse([pair for path in paths for pair in _text(host, path)])


def _text(host: Host, path: PurePosixPath) -> Iterator[tuple[str, bytes]]:
    seen = host.file(path, limit=1 << 20)
    if isinstance(seen, Unreadable):
        raise Refusal(seen.reason)
    if isinstance(seen, File):
        if seen.content is None:
            raise Refusal(f"{path}: is not a regular file")
        yield str(path), seen.content
