"""HTML elements whose text cannot get out: a `str` is always shown as text, only `Markup` is markup."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Union

from agent.formats.escape import visible

# Characters of one piece of text: a message of somebody else's program is cut, a page stays bounded.
LIMIT = 600
_WITHOUT_END = ("meta", "link")


@dataclass(frozen=True)
class Markup:
    """HTML as it stands.  Made by `element` and `together` and, for constants, by hand."""

    text: str


Child = Union[str, Markup]


def element(name: str, *children: Child, **attributes: str) -> Markup:
    """`class_` is the attribute class; other underscores are hyphens."""
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    head = "".join([name, *(f' {key}="{shown(value)}"' for key, value in named)])
    if name in _WITHOUT_END:
        return Markup(f"<{head}>")
    return Markup(f"<{head}>{together(*children).text}</{name}>")


def together(*children: Child) -> Markup:
    return Markup("".join(c.text if isinstance(c, Markup) else shown(c) for c in children))


def shown(text: str) -> str:
    """Text, made visible and safe between tags and in a quoted attribute."""
    return escape(visible(text, LIMIT), quote=True)
