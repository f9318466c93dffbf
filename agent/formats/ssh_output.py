"""What `ssh -G` and `sshd -T` print."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Optional

from agent.model import ClientConfig, ServerConfig, frozen

# Names that OpenSSH 8.4 still prints, and what every later release prints.
_RENAMED = {
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "hostbasedacceptedkeytypes": "hostbasedacceptedalgorithms",
}
_PORT = re.compile(r"[0-9]{1,5}")
_LISTEN_PORT = re.compile(r"(?:\[[^]]*\]|[^:\s]*):([0-9]{1,5})(?:\s|$)")


def client_config(text: str) -> ClientConfig:
    """`ssh -G HOST`; a keyword on several lines keeps all of them in order."""
    return ClientConfig(frozen(_keywords(text)))


def server_config(
    text: str,
    ports: Optional[Sequence[int]] = None,
    *,
    debian: bool = False,
) -> ServerConfig:
    """`sshd -T -C ...`.  `ports` are those of the running daemon; without them the configured."""
    values = _keywords(text)
    return ServerConfig(
        values=frozen(values),
        ports=listen_ports(values) if ports is None else tuple(ports),
        debian=debian,
    )


def listen_ports(values: Mapping[str, tuple[str, ...]]) -> tuple[int, ...]:
    """The configured ports: those of the listen addresses, which sshd completes with `port`."""
    matches = (_LISTEN_PORT.match(address) for address in values.get("listenaddress", ()))
    listened = [int(match[1]) for match in matches if match]
    plain = [int(port) for port in values.get("port", ()) if _PORT.fullmatch(port)]
    usable = [port for port in listened or plain if 0 < port < 65536]
    return tuple(dict.fromkeys(usable)) or (22,)


def _keywords(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        keyword, _, value = line.strip().partition(" ")
        if not keyword:
            continue
        name = keyword.lower()
        name = _RENAMED.get(name, name)
        found.setdefault(name, []).append(value.strip())
    return {name: tuple(values) for name, values in found.items()}
