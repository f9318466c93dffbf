"""This host's own addresses."""

from __future__ import annotations

import socket
from typing import Optional


def addresses() -> tuple[str, ...]:
    """Every address on an interface, IPv6 without its zone.  Raises OSError."""
    import psutil

    interfaces = psutil.net_if_addrs()
    found = (a for each in interfaces.values() for a in each)
    families = (socket.AF_INET, socket.AF_INET6)
    return tuple(sorted({a.address.split("%")[0] for a in found if a.family in families}))


def route_address() -> Optional[str]:
    """The source address of a datagram to 192.0.2.0, as oslo_utils.netutils.get_my_ipv4 asks it; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.0", 80))
            return str(probe.getsockname()[0])
    except OSError:
        return None
