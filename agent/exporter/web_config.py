"""exporter-toolkit's web configuration file, the part that is done here; anything else in it is refused by name.

A key that is ignored would be a door somebody believes shut.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from agent.document import DocumentError, Entry, load

_TOP = ("tls_server_config", "basic_auth_users")
_TLS = (
    "cert_file",
    "key_file",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
)
_CLIENT_AUTH = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
_VERSIONS = ("TLS12", "TLS13")
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_CREDENTIALS = "$CREDENTIALS_DIRECTORY/"


@dataclass(frozen=True)
class Tls:
    """`where` and `lines` are for messages about what the files hold."""

    cert_file: str
    key_file: str
    client_ca_file: Optional[str]
    client_auth: str
    allowed_sans: tuple[str, ...]
    min_version: str
    where: str
    lines: Mapping[str, int]

    def problem(self, key: str, why: str) -> DocumentError:
        return DocumentError(self.where, self.lines.get(key), f"tls_server_config.{key}: {why}")

    @property
    def files(self) -> tuple[str, ...]:
        paths = (self.cert_file, self.key_file, self.client_ca_file)
        return tuple(path for path in paths if path)


@dataclass(frozen=True)
class WebConfig:
    """`users` maps a name to its bcrypt hash."""

    tls: Optional[Tls] = None
    users: Mapping[str, bytes] = field(default_factory=dict)


def parse(content: bytes, where: str, credentials: str = "") -> WebConfig:
    """Raises DocumentError.  `credentials` is what `$CREDENTIALS_DIRECTORY` stands for in a path."""
    top = _keys(load(content, where), where, "", _TOP)
    tls = top.get("tls_server_config")
    users = top.get("basic_auth_users")
    return WebConfig(
        tls=_tls(tls, where, credentials) if tls else None,
        users=dict(_users(users, where)) if users else {},
    )


def _keys(entry: Entry, where: str, path: str, known: tuple[str, ...]) -> Mapping[str, Entry]:
    found = _mapping(entry, where, path)
    for key, value in found.items():
        if key not in known:
            words = f"{path}{key}: is not supported; supported are {', '.join(known)}"
            raise DocumentError(where, value.line, words)
    return found


def _mapping(entry: Entry, where: str, path: str) -> Mapping[str, Entry]:
    if entry.keys is None:
        name = path.rstrip(".")
        raise DocumentError(where, entry.line, f"{name + ': ' if name else ''}must be a mapping")
    return entry.keys


def _tls(entry: Entry, where: str, credentials: str) -> Tls:
    path = "tls_server_config."
    found = _keys(entry, where, path, _TLS)
    words = {
        key: _word(value, where, path + key)
        for key, value in found.items()
        if key != "client_allowed_sans"
    }
    for key in ("cert_file", "key_file"):
        if not words.get(key):
            raise DocumentError(where, entry.line, f"{path}{key}: is missing")
    files = {
        key: _file(words[key], where, found[key].line, path + key, credentials)
        for key in ("cert_file", "key_file", "client_ca_file")
        if words.get(key)
    }
    tls = Tls(
        cert_file=files["cert_file"],
        key_file=files["key_file"],
        client_ca_file=files.get("client_ca_file"),
        client_auth=words.get("client_auth_type") or "NoClientCert",
        allowed_sans=_sans(found.get("client_allowed_sans"), where),
        min_version=words.get("min_version") or "TLS12",
        where=where,
        lines={"": entry.line, **{key: value.line for key, value in found.items()}},
    )
    _check(tls)
    return tls


def _check(tls: Tls) -> None:
    """What exporter-toolkit refuses too, and what would not do what it says."""
    if tls.client_auth not in _CLIENT_AUTH:
        raise tls.problem("client_auth_type", f"must be one of {', '.join(_CLIENT_AUTH)}")
    if tls.min_version not in _VERSIONS:
        raise tls.problem("min_version", f"must be one of {', '.join(_VERSIONS)}")
    verifies = tls.client_auth != "NoClientCert"
    if verifies and not tls.client_ca_file:
        raise tls.problem("client_auth_type", f"{tls.client_auth} needs client_ca_file")
    if tls.client_ca_file and not verifies:
        raise tls.problem("client_ca_file", "has no effect without client_auth_type")
    if tls.allowed_sans and tls.client_auth != "RequireAndVerifyClientCert":
        raise tls.problem(
            "client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert"
        )


def _sans(entry: Optional[Entry], where: str) -> tuple[str, ...]:
    path = "tls_server_config.client_allowed_sans"
    if entry is None:
        return ()
    if entry.type != "seq" or not entry.items:
        raise DocumentError(where, entry.line, f"{path}: must be a list of names")
    return tuple(_word(item, where, path) for item in entry.items)


def _users(entry: Entry, where: str) -> Iterator[tuple[str, bytes]]:
    for name, value in _mapping(entry, where, "basic_auth_users.").items():
        path = f"basic_auth_users.{name}"
        if not name or ":" in name:
            raise DocumentError(where, value.line, f"{path}: a user's name has no colon")
        if not _BCRYPT.fullmatch(_word(value, where, path)):
            raise DocumentError(where, value.line, f"{path}: is not a bcrypt hash")
        yield name, value.text.encode()


def _word(entry: Entry, where: str, path: str) -> str:
    if entry.type == "null":
        return ""
    if entry.type != "str":
        raise DocumentError(where, entry.line, f"{path}: must be text")
    return entry.text


def _file(text: str, where: str, line: int, path: str, credentials: str) -> str:
    """Relative to the configuration file, as exporter-toolkit has it."""
    if text.startswith(_CREDENTIALS):
        if not credentials:
            raise DocumentError(where, line, f"{path}: $CREDENTIALS_DIRECTORY is not set")
        return os.path.join(credentials, text[len(_CREDENTIALS) :])
    return os.path.join(os.path.dirname(where), text)
