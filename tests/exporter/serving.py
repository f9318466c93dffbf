"""A real exporter in a process of its own, report documents of any size, and certificates made on the spot."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import queue
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, Optional

from agent.checks import catalogue

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Exporter:
    def __init__(self, process: subprocess.Popen[str], ports: list[int]) -> None:
        self.process = process
        self.ports = ports
        self.said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        return self.ports[0]

    def get(
        self,
        path: str = "/metrics",
        method: str = "GET",
        tls: Optional[ssl.SSLContext] = None,
        host: str = "127.0.0.1",
        port: int = 0,
        **fields: str,
    ) -> Answer:
        """Names of header fields are written with `_` for `-`."""
        port = port or self.port
        kind: Any = HTTPSConnection if tls else HTTPConnection
        extra = {"context": tls} if tls else {}
        connection = kind(host, port, timeout=PATIENCE, **extra)
        try:
            headers = {name.replace("_", "-"): value for name, value in fields.items()}
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """What comes back until the exporter closes."""
        with self.connected() as client:
            client.sendall(data)
            return everything(client)

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def status(self, key: str) -> int:
        """A number of /proc/PID/status: VmRSS in KiB, Threads."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"^{key}:\s+([0-9]+)", text, re.MULTILINE)[0])

    def line(self, word: str) -> str:
        """The next line on stderr with this word."""
        while True:
            said = self.said.get(timeout=PATIENCE)
            if word in said:
                return said

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.put(line)


def everything(client: socket.socket) -> bytes:
    found = bytearray()
    while True:
        try:
            some = client.recv(65536)
        except ConnectionResetError:
            return bytes(found)
        if not some:
            return bytes(found)
        found += some


def start(report: Path, *listen: str, config: Optional[Path] = None, **more: Any) -> Any:
    where = [word for address in listen for word in ("--listen", address)]
    web = ["--web-config", str(config)] if config else []
    return subprocess.Popen(
        [sys.executable, "-m", "agent", "exporter", *where, "--report", str(report), *web],
        cwd=TOP,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        **more,
    )


@contextmanager
def exporter(
    report: Path, *listen: str, config: Optional[Path] = None, **more: Any
) -> Iterator[Exporter]:
    """Serving when entered; ends with status 0 on SIGTERM."""
    wanted = listen or ("127.0.0.1:0",)
    process = start(report, *wanted, config=config, **more)
    try:
        ports = [port_of(process) for _ in wanted]
        yield Exporter(process, ports)
        assert process.poll() is None, "it ended by itself"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"listening on \S*:([0-9]+) ", line)
    assert found, line + process.stderr.read()
    return int(found[1])


def document(peers: int = 1, failing: int = 0, **changes: Any) -> dict[str, Any]:
    """As the daemon would write it now, of a host whose every check passes."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    later = now + datetime.timedelta(seconds=changes.pop("seconds", 180))
    checks = [
        {"id": check.id, "role": check.role.value, "outcome": "pass", "findings": []}
        for check in catalogue()
    ]
    made: dict[str, Any] = {
        "schema_version": 1,
        "tool": {"name": "resize-agent", "version": "0.1.0"},
        "host": "compute0",
        "scope": "full",
        "taken_at": stamp(now),
        "valid_until": stamp(later),
        "interval_seconds": 60,
        "duration_seconds": 1.5,
        "ready": True,
        "interrupted": False,
        "roles": {"source": {"ready": True}, "destination": {"ready": True}},
        "summary": {"pass": len(checks), "warn": 0, "fail": 0, "unknown": 0, "skip": 0},
        "fixes": {"done": 3, "failed": 1},
        "config": {"valid": True, "error": None},
        "checks": checks,
        "peers": [peer(n, failed=n < failing) for n in range(peers)],
        "plan": {"steps": [], "conflicts": []},
        "applied": [],
    }
    return {**made, **changes}


def peer(number: int, *, failed: bool = False) -> dict[str, Any]:
    return {
        "name": f"compute{number + 1:04}",
        "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        "outcome": "fail" if failed else "pass",
        "stage": "host_key" if failed else "cleanup",
        "reason": "host_key_unknown" if failed else None,
        "side": "here" if failed else None,
        "impact": "rollback" if failed else None,
        "message": "its host key is not known here" if failed else "took 512 KiB",
        "checked_at": "2026-11-22T10:00:00Z",
        "seconds": 0.31,
    }


def stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(path: Path, content: Any) -> None:
    """As the daemon does: whole or not at all."""
    text = content if isinstance(content, str) else json.dumps(content, indent=2)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._sign(name, self._key.public_key(), (), own=True))

    def issue(self, name: str, *sans: str) -> tuple[Path, Path]:
        """Certificate and key file of a new key pair."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        certificate, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(self._sign(name, key.public_key(), sans))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, key_file

    def _sign(self, name: str, key: Any, sans: tuple[str, ...], *, own: bool = False) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import NameOID

        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
            # Python 3.13 asks for what RFC 5280 does.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if own:
            signs = [n in ("key_cert_sign", "crl_sign") for n in _USES]
            builder = builder.add_extension(x509.KeyUsage(*signs), critical=True)
        if sans:
            names = [_san(text) for text in sans]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def _san(text: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def client(authority: Authority, certificate: Optional[tuple[Path, Path]] = None) -> ssl.SSLContext:
    """Trusts this authority, and shows the certificate."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if certificate:
        context.load_cert_chain(*certificate)
    return context
