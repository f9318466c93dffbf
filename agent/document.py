"""YAML text into plain values that remember their line.  Aliases, tags and duplicate keys are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Optional, Union

import yaml

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_SCALARS = {"str", "int", "bool", "null", "float", "timestamp"}
# libyaml composes by recursion in C: thousands of levels end the process, not the parse.
_DEEPEST = 32
# Every collection begins with one of these, so a text with few of them cannot nest deep enough to do harm.
_OPENERS = "[{-?:"
_HARMLESS = 500


class _Loader(_PARSER):  # type: ignore[misc]
    """Asks what a plain word is (`22` a number, `null` nothing) once: thousands of records have the same two dozen keys."""

    def resolve(self, kind: Any, value: Any, implicit: tuple[bool, bool]) -> Any:
        if kind is yaml.ScalarNode:
            return _kind_of(value) if implicit[0] else f"{_CORE}str"
        return super().resolve(kind, value, implicit)


_ASKED: Any = yaml.SafeLoader("")


@lru_cache(maxsize=256)
def _kind_of(word: str) -> Any:
    """Its tag."""
    return _ASKED.resolve(yaml.ScalarNode, word, (True, False))


class DocumentError(ValueError):
    """`args[0]` is the whole message: `FILE:LINE: key: what is wrong`."""

    def __init__(self, where: str, line: Optional[int], message: str) -> None:
        self.where = where if line is None else f"{where}:{line}"
        self.message = message
        super().__init__(f"{self.where}: {message}")


class Entry(NamedTuple):
    """One value.  A scalar keeps its text and its YAML type word (`str`, `int`, `bool`, `null`, ...).

    `line` is that of its key where it has one.
    """

    line: int
    type: str
    text: str = ""
    items: tuple[Entry, ...] = ()
    keys: Optional[Mapping[str, Entry]] = None


def load(data: Union[bytes, str], where: str, limit: int = 1 << 20) -> Entry:
    """Parse one YAML document of at most `limit` bytes; an empty one is an empty mapping.

    Raises DocumentError, with file and line, for anything but plain mappings, sequences and scalars.
    """
    if len(data) > limit:
        raise DocumentError(where, None, f"is larger than {limit} bytes")
    text = _decoded(data, where) if isinstance(data, bytes) else data
    try:
        node = _compose(text, where)
    except yaml.YAMLError as error:
        raise _translated(error, where) from None
    return Entry(1, "map", keys={}) if node is None or node.type == "null" else node


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(where, line, "is not UTF-8 text") from None


def _compose(text: str, where: str) -> Optional[Entry]:
    if "*" in text or sum(map(text.count, _OPENERS)) > _HARMLESS:
        _refuse_shared_and_deep(text, where)
    try:
        node = yaml.compose(text, Loader=_Loader)
        return None if node is None else _entry(node, where)
    except (yaml.YAMLError, DocumentError):
        # Of several things that are wrong these are told first.
        _refuse_shared_and_deep(text, where)
        raise


def _refuse_shared_and_deep(text: str, where: str) -> None:
    """By its events alone: before anything is composed of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(where, mark.line + 1, "aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise DocumentError(where, mark.line + 1, "is nested too deeply")


def _entry(node: Any, where: str, key: Any = None, depth: int = 1) -> Entry:
    """What a node holds, `depth` collections deep; `key` is the node of its key where it has one."""
    line = (key or node).start_mark.line + 1
    kind = node.tag[len(_CORE) :] if node.tag.startswith(_CORE) else ""
    if kind in _SCALARS and isinstance(node, yaml.ScalarNode):
        return Entry(line, kind, node.value)
    if depth > _DEEPEST:
        raise DocumentError(where, node.start_mark.line + 1, "is nested too deeply")
    if kind == "map" and isinstance(node, yaml.MappingNode):
        return Entry(line, kind, keys=_keys(node, where, depth))
    if kind == "seq" and isinstance(node, yaml.SequenceNode):
        items = tuple([_entry(item, where, None, depth + 1) for item in node.value])
        return Entry(line, kind, items=items)
    line = node.start_mark.line + 1
    raise DocumentError(where, line, "only plain mappings, lists and values are allowed")


def _keys(node: Any, where: str, depth: int) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not key.tag.startswith(_CORE):
            raise DocumentError(where, line, "a key must be a word")
        if key.value in found:
            raise DocumentError(where, line, f"{key.value!r}: given twice")
        found[key.value] = _entry(value, where, key, depth + 1)
    return found


def _translated(error: yaml.YAMLError, where: str) -> DocumentError:
    mark: Any = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    if mark and "nesting depth" in problem:  # libyaml since 0.2.6 counts too, and further ahead
        return DocumentError(where, mark.line + 1, "is nested too deeply")
    return DocumentError(where, mark.line + 1 if mark else None, f"is not valid YAML: {problem}")
