"""The web configuration in force: read again when it or a file it names has changed, the old one kept if that fails."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from agent.document import DocumentError
from agent.exporter.notice import notice
from agent.exporter.report_file import Signature, signature_of
from agent.exporter.web_config import Tls, WebConfig, parse

_LARGEST = 1 << 20
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


@dataclass(frozen=True)
class Security:
    """No `context` is plain HTTP, no `users` no passwords, no `sans` any name in a client's certificate."""

    context: Optional[ssl.SSLContext] = None
    users: Mapping[str, bytes] = field(default_factory=dict)
    sans: frozenset[str] = frozenset()


class Guard:
    """Used by one thread, that of the loop; what it hands out may go anywhere."""

    def __init__(self, path: Optional[str]) -> None:
        """Raises DocumentError."""
        self.reloaded = True
        self._path = path
        self._files: tuple[str, ...] = ()
        self._seen: tuple[Optional[Signature], ...] = ()
        self._security = Security()
        if path is not None:
            self._load(path)

    def current(self) -> Security:
        if self._path is not None and self._seen != _signatures((self._path, *self._files)):
            self._try_again(self._path)
        return self._security

    def _try_again(self, path: str) -> None:
        try:
            self._load(path)
        except DocumentError as error:
            notice(f"{error}; the configuration read before stays in force")
            self.reloaded = False
        else:
            notice(f"{path}: read again")
            self.reloaded = True

    def _load(self, path: str) -> None:
        # Noted before reading: what changes in between is seen the next time, what fails is not tried for ever.
        self._seen = _signatures((path, *self._files))
        config = parse(_content(path), path, os.environ.get("CREDENTIALS_DIRECTORY", ""))
        self._files = config.tls.files if config.tls else ()
        self._seen = (*self._seen[:1], *_signatures(self._files))
        self._security = _in_force(config, path)


def _in_force(config: WebConfig, path: str) -> Security:
    if config.users:
        try:
            import bcrypt  # noqa: F401  it comes with paramiko
        except ImportError:
            raise DocumentError(path, None, "basic_auth_users: needs python3-bcrypt") from None
    if config.tls is None:
        return Security(users=config.users)
    return Security(_context(config.tls), config.users, frozenset(config.tls.allowed_sans))


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # With a password given, OpenSSL does not ask the terminal for one.
        context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "-")
    except (OSError, ValueError) as error:
        raise tls.problem(*_blamed(tls, error)) from None
    if tls.client_ca_file:
        try:
            context.load_verify_locations(cafile=tls.client_ca_file)
        except (OSError, ValueError) as error:
            raise tls.problem("client_ca_file", _why(tls.client_ca_file, error)) from None
    context.verify_mode = _CLIENTS[tls.client_auth]
    return context


def _blamed(tls: Tls, error: Exception) -> tuple[str, str]:
    """OpenSSL does not say which of the two it could not use."""
    if not os.access(tls.cert_file, os.R_OK):
        return "cert_file", _why(tls.cert_file, error)
    if not os.access(tls.key_file, os.R_OK):
        return "key_file", _why(tls.key_file, error)
    return "cert_file", f"cannot be used with key_file {tls.key_file}: {_why(tls.cert_file, error)}"


def _why(path: str, error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return f"{path}: {reason}"


def _content(path: str) -> bytes:
    try:
        # Kubernetes and Puppet put links here; a pipe must not make us wait.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DocumentError(path, None, "is not a regular file")
            return stream.read(_LARGEST + 1)
    except OSError as error:
        raise DocumentError(path, None, error.strerror or str(error)) from None


def _signatures(paths: Iterable[str]) -> tuple[Optional[Signature], ...]:
    return tuple(_signature(path) for path in paths)


def _signature(path: str) -> Optional[Signature]:
    try:
        return signature_of(os.stat(path))
    except OSError:
        return None


def allowed(certificate: Optional[Mapping[str, Any]], sans: frozenset[str]) -> bool:
    """Whether the client's verified certificate carries one of the names."""
    names = {value for _, value in (certificate or {}).get("subjectAltName", ())}
    return not sans or not sans.isdisjoint(names)
