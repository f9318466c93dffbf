"""What a child saw, as JSON and back: the child has nothing to say it with but a pipe."""

from __future__ import annotations

import base64
import os
from pathlib import PurePosixPath
from typing import Any, Union

from agent.host import files
from agent.host.files import Seen
from agent.model import Absent, File, Kind, Unreadable


def look(root: str, path: str, content: bool, limit: int) -> Any:
    return _packed(files.look(root, PurePosixPath(path), content=content, limit=limit))


def look_all(root: str, words: list[tuple[str, bool]]) -> list[Any]:
    return [_packed(files.look(root, PurePosixPath(path), content=text)) for path, text in words]


def names(root: str, path: str) -> Any:
    found = files.names(root, PurePosixPath(path))
    return list(found) if isinstance(found, tuple) else _packed(found)


def changed(root: str, path: PurePosixPath) -> float:
    """When it was written last.  Raises OSError."""
    return os.stat(files.inside(root, path)).st_mtime


def unpacked_names(answer: Any) -> Union[tuple[str, ...], Absent, Unreadable]:
    if isinstance(answer, list):
        return tuple(answer)
    return Unreadable(answer) if isinstance(answer, str) else Absent(answer["link"])


def _packed(seen: Seen) -> Any:
    if isinstance(seen, Absent):
        return {"link": seen.link}
    if isinstance(seen, Unreadable):
        return seen.reason
    text = None if seen.content is None else base64.b64encode(seen.content).decode()
    real = None if seen.real is None else str(seen.real)
    return [seen.kind.value, seen.mode, seen.uid, seen.gid, seen.size, seen.links, text, real]


def unpacked(answer: Any) -> Seen:
    if isinstance(answer, dict):
        return Absent(answer["link"])
    if isinstance(answer, str):
        return Unreadable(answer)
    kind, mode, uid, gid, size, links, text, real = answer
    content = None if text is None else base64.b64decode(text)
    where = None if real is None else PurePosixPath(real)
    return File(Kind(kind), mode, uid, gid, size, links, content, where)
