"""Configuration files and environment as oslo.config reads them.

Its rules are kept even where they surprise: section names ignore case except for DEFAULT, option
names do not; there are no comments behind a value; an indented line continues the value above it.
Nothing here raises: what oslo.config would refuse is a Problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple, Optional

from agent.formats.escape import visible
from agent.formats.oslo_file import Sections, Written, normalized, read_file
from agent.model.observed import nothing

Name = tuple[str, str]  # group, option

# oslo.config's string.Template: a dot belongs to the name, so `$my_ip.` asks for group `my_ip`.
_REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<named>[_a-z][._a-z0-9]*)|{(?P<braced>[_a-z][._a-z0-9]*)})",
    re.IGNORECASE,
)
# Bounds of ours against files made to exhaust the reader; far above anything that works in Nova.
_DEEPEST = 50
_LONGEST = 65536


class Problem(NamedTuple):
    """What oslo.config would refuse.  `where` is `FILE:LINE`, `environment NAME` or `default`."""

    message: str
    where: str

    @property
    def sentence(self) -> str:
        return f"{self.where}: {self.message}"


class Value(NamedTuple):
    """`text` is None for an option without a value, and for one that cannot be read."""

    text: Optional[str]
    origin: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Options:
    """Everything read, before substitution.  `problems` are files that do not parse.

    `defaults` are those the program itself has; an option named there exists, set or not.
    `renamed` are the old names under which an option is looked for too.
    """

    files: tuple[Mapping[str, Mapping[str, Written]], ...]
    environ: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    defaults: Mapping[Name, Optional[str]] = field(default_factory=nothing)
    renamed: Mapping[Name, Sequence[Name]] = field(default_factory=nothing)

    def with_defaults(
        self,
        defaults: Mapping[Name, Optional[str]],
        renamed: Mapping[Name, Sequence[Name]] = MappingProxyType({}),
    ) -> Options:
        return replace(
            self,
            defaults=MappingProxyType({**self.defaults, **defaults}),
            renamed=MappingProxyType({**self.renamed, **renamed}),
        )

    def get(
        self,
        group: str,
        name: str,
        default: Optional[str] = None,
        deprecated: Sequence[Name] = (),
    ) -> Value:
        """The value after substitution; the environment beats files, later files beat earlier."""
        written = self.given((group, name), deprecated)
        if written is None and default is not None:
            written = Written(default, "default")
        written = written or self.default((group, name))
        if written is None:
            return Value(None, "default")
        substitution = _Substitution(self)
        text = substitution.expand(written, group, ((group, name),))
        if text is None:
            return Value(None, written.origin, tuple(substitution.problems))
        return Value(text, written.origin)

    def given(self, option: Name, deprecated: Sequence[Name] = ()) -> Optional[Written]:
        """What environment or files say, before substitution; None where they say nothing."""
        variable = environment_name(*option)
        if variable in self.environ:
            return Written(self.environ[variable], f"environment {variable}")
        for sections in reversed(self.files):
            # A later file with the old name beats an earlier one with the new name.
            for group, name in (option, *deprecated, *self.renamed.get(option, ())):
                written = sections.get(normalized(group), {}).get(name)
                if written is not None:
                    return written
        return None

    def default(self, option: Name) -> Optional[Written]:
        text = self.defaults.get(option)
        return None if text is None else Written(text, "default")

    def _mentioned(self, option: Name) -> bool:
        group, name = option
        # Nova declares both in lower case, and a reference must spell them as declared.
        if group != normalized(group) or name != name.lower():
            return False
        return any(name in sections.get(group, {}) for sections in self.files)

    def find(self, reference: str, group: str) -> Optional[Name]:
        """The option that `$reference` means in a value of `group`.

        Nova declares hundreds of options that are not in `defaults`; those a file sets are taken
        to be among them.
        """
        head, dot, tail = reference.partition(".")
        # oslo.config has no group called DEFAULT: `${DEFAULT.host}` is refused.
        if dot and (head == "DEFAULT" or not tail):
            return None
        candidates = [(head, tail)] if dot else [(group, reference), ("DEFAULT", reference)]
        known = (option for option in candidates if option in self.defaults)
        mentioned = (option for option in candidates if self._mentioned(option))
        return next(known, None) or next(mentioned, None)


class _Substitution:
    """One look-up.  Every option met on the way is expanded once, however often it is named."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._expanded: dict[Name, Optional[str]] = {}
        self.problems: list[Problem] = []

    def expand(self, written: Written, group: str, path: tuple[Name, ...]) -> Optional[str]:
        pieces: list[str] = []
        length = end = 0
        if len(written.text) > _LONGEST:
            return self._refuse("the value is too long", written)
        source = written.text.replace(r"\$", "$$")
        for match in _REFERENCE.finditer(source):
            inner = "$" if match["escaped"] else self._referred(match, written, group, path)
            if inner is None:
                return None
            pieces += [source[end : match.start()], inner]
            length += len(pieces[-1]) + len(pieces[-2])
            if length > _LONGEST:
                return self._refuse("the value is too long once substituted", written)
            end = match.end()
        return "".join([*pieces, source[end:]])

    def _referred(
        self,
        match: re.Match[str],
        written: Written,
        group: str,
        path: tuple[Name, ...],
    ) -> Optional[str]:
        reference = match["named"] or match["braced"]
        option = self._options.find(reference, group)
        if option is None:
            return self._refuse(f"${visible(reference, 80)} names no known option", written)
        if option in path:
            return self._refuse(f"${visible(reference, 80)} refers to itself", written)
        if len(path) >= _DEEPEST:
            return self._refuse("substitution is nested too deeply", written)
        if option not in self._expanded:
            self._expanded[option] = self._value(option, path)
        return self._expanded[option]

    def _value(self, option: Name, path: tuple[Name, ...]) -> Optional[str]:
        written = self._options.given(option) or self._options.default(option)
        if written is None:
            return ""
        return self.expand(written, option[0], (*path, option))

    def _refuse(self, message: str, written: Written) -> Optional[str]:
        self.problems.append(Problem(message, written.origin))
        return None


def environment_name(group: str, name: str) -> str:
    return f"OS_{group.upper()}__{name.upper()}"


def parse(files: Sequence[tuple[PurePosixPath, bytes]], environ: Mapping[str, str]) -> Options:
    """The files in the order they are read: a later one wins."""
    parsed: list[Sections] = []
    problems: list[Problem] = []
    for path, content in files:
        sections, mistake = read_file(path, content)
        parsed.append(sections)
        if mistake is not None:
            problems.append(Problem(mistake.message, mistake.where))
    return Options(tuple(parsed), MappingProxyType(dict(environ)), tuple(problems))
