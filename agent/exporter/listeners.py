"""Addresses to listen on, spelt as exporter-toolkit spells them: `:19122`, `[::1]:19122`, `127.0.0.1:19122`."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from agent.document import DocumentError

_SPELLING = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_BACKLOG = 512
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class CannotListen(Exception):
    """`args[0]` says where and why."""


@dataclass(frozen=True)
class Listener:
    socket: socket.socket
    name: str


def opened(addresses: Iterable[str], until: ExitStack) -> tuple[Listener, ...]:
    """All of them, closed with `until`.  Raises CannotListen, and DocumentError for a spelling nobody understands."""
    found = tuple(_opened(address, until) for address in dict.fromkeys(addresses))
    if not found:
        raise DocumentError("--listen", None, "no address to listen on")
    return found


def _opened(address: str, until: ExitStack) -> Listener:
    host, port = spelt(address)
    try:
        return _bound(host, port, until)
    except OSError as error:
        if host == "::" and error.errno in _NO_SUCH_FAMILY:
            return _opened(f"0.0.0.0:{port}", until)  # a kernel without IPv6
        why = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {address}: {why}") from None


def spelt(address: str) -> tuple[str, int]:
    """Host (`::` for every address) and port.  Raises DocumentError."""
    match = _SPELLING.fullmatch(address)
    if not match or int(match["port"]) > 65535:
        raise DocumentError("--listen", None, f"{address!r}: write it as [::]:19122")
    return match["six"] or match["name"] or "::", int(match["port"])


def _bound(host: str, port: int, until: ExitStack) -> Listener:
    family, kind, protocol, _, where = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = until.enter_context(socket.socket(family, kind, protocol))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # [::] serves IPv4 too, whatever net.ipv6.bindv6only says.
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(where[0] != "::"))
    listener.bind(where)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    ip, bound_port = listener.getsockname()[:2]
    name = f"[{ip}]:{bound_port}" if family == socket.AF_INET6 else f"{ip}:{bound_port}"
    return Listener(listener, name)


def from_this_host(accepted: socket.socket) -> bool:
    """Whether both ends of a connection are loopback addresses, whatever address is listened on.

    The near end alone does not tell: with net.ipv4.conf.*.route_localnet a stranger's packet may arrive at 127.0.0.1.
    """
    try:
        ends = (accepted.getsockname()[0], accepted.getpeername()[0])
    except OSError:
        return False  # the client has gone again
    return all(map(is_loopback, ends))


def is_loopback(address: str) -> bool:
    """An IPv4 client of an IPv6 socket shows as `::ffff:127.0.0.1`."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
