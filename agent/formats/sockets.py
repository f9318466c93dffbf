"""/proc/net/tcp and tcp6 (proc_net(5)): who listens."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

_LISTEN = b"0A"


def listeners(text: bytes) -> Iterator[tuple[str, int]]:
    """(address, port) of every socket in state LISTEN."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTEN:
            address, _, port = fields[1].rpartition(b":")
            try:
                yield _address(bytes.fromhex(address.decode("ascii", "replace"))), int(port, 16)
            except ValueError:
                continue


def _address(words: bytes) -> str:
    """The kernel prints 32-bit words in the machine's own byte order; ours are little-endian."""
    octets = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
    return str(IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets))
