"""Names and addresses of this machine that no other machine can use."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback_address(address: str | None) -> bool:
    """Whether it is an address of the loopback interface."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def is_loopback_host(host: str) -> bool:
    """Whether a ``Host`` header (a name, perhaps with a port) means this machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or is_loopback_address(name)
