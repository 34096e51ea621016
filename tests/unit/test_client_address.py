"""Whose word about an address is taken."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.requests import Request

from platform_api.doors.client_address import client_address
from platform_api.use_cases.rate_limits import place_of
from tests.cast import settings_for_tests


def request_from(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return Request({"type": "http", "headers": headers, "client": (peer, 1) if peer else None})


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        # Nobody is trusted unless the operator says so, not even this machine.
        ("", "127.0.0.1", ["203.0.113.9"], "127.0.0.1"),
        ("", "203.0.113.7", ["10.0.0.1"], "203.0.113.7"),
        ("", None, ["203.0.113.9"], None),
        ("10.0.0.0/8", "10.1.2.3", [], "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", "203.0.113.7", ["10.1.2.3"], "203.0.113.7"),
        # What the client itself put before what our proxy wrote is not believed.
        ("10.0.0.0/8", "10.1.2.3", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8, 192.0.2.1", "192.0.2.1", ["203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", ["203.0.113.9, unknown"], "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", [", "], "10.1.2.3"),
        ("fd00::/8", "fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("fd00::/8", "10.0.0.1", ["2001:db8::5"], "10.0.0.1"),
    ],
)
def test_only_what_a_trusted_proxy_wrote_is_believed(
    trusted: str, peer: str | None, forwarded: list[str], address: str | None
) -> None:
    settings = settings_for_tests(trusted_proxies=trusted)
    assert client_address(request_from(peer, *forwarded), settings) == address


@pytest.mark.parametrize("value", ["everybody", "10.0.0.1/8", "10.0.0.0/99", "*"])
def test_a_list_of_proxies_that_is_none_stops_the_start(value: str) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        settings_for_tests(trusted_proxies=value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("127.0.0.1", None, False),
    ],
)
def test_a_customers_ipv6_addresses_count_as_one(one: str | None, other: str | None, same: bool) -> None:
    assert (place_of(one) == place_of(other)) is same
