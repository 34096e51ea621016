"""Where a request comes from, also behind proxies that we trust."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from fastapi import Request

from platform_api.settings import Network, Settings


def client_address(request: Request, settings: Settings) -> str | None:
    """The address of the last machine that is no trusted proxy; None for a unix socket.

    ``X-Forwarded-For`` is read from its end, where our own proxies write, and only as far as they do: what stands
    before that anybody could have sent.
    """
    peer = address_of(request.client.host if request.client else None)
    hops = [hop.strip() for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    while hops and peer is not None and _is_trusted(peer, settings.proxies):
        before = address_of(hops.pop())
        if before is None:
            return peer
        peer = before
    return peer


def address_of(host: str | None) -> str | None:
    """The address in the form that the trail stores, or None for what is none."""
    try:
        return str(ipaddress.ip_address((host or "").partition("%")[0]))
    except ValueError:
        return None


def _is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    number = ipaddress.ip_address(address)
    return any(number.version == network.version and number in network for network in proxies)
