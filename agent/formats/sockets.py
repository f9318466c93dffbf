"""/proc/net/tcp and tcp6 (proc_net(5)): who listens."""

from __future__ import annotations

from collections.abc import Iterator

_LISTEN = b"0A"


def listeners(text: bytes) -> Iterator[int]:
    """Local ports in state LISTEN."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTEN:
            port = fields[1].rpartition(b":")[2]
            try:
                yield int(port, 16)
            except ValueError:
                continue
