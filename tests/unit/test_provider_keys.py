"""The provider's keys: fetched when needed, kept while it is away, and never asked for in a storm."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from platform_api.domain.errors import NotAuthenticated
from platform_api.identity.oidc import discovery_address
from platform_api.identity.provider_keys import (
    AWAY_FOR,
    FRESH_FOR,
    REFETCH_EVERY,
    USABLE_FOR,
    ProviderKeys,
    Published,
    fetch_published,
)
from platform_api.ports.identity import ProviderAway
from tests.cast import FixedClock
from tests.identity_provider import AUTHORITY, TestProvider


class Room:
    """A provider, its keys as we hold them, and a clock."""

    def __init__(self) -> None:
        self.provider = TestProvider()
        self.clock = FixedClock()
        self.clock.at = self.clock.now()
        http = self.provider.client()

        async def fetch() -> Published:
            await asyncio.sleep(0)
            return fetch_published(http, discovery_address(AUTHORITY))

        self.keys = ProviderKeys(fetch, self.clock)

    def later(self, time: timedelta) -> None:
        self.clock.at += time

    async def has(self, key_id: str) -> bool:
        try:
            await self.keys.key(key_id)
        except NotAuthenticated:
            return False
        return True


@pytest.fixture
def room() -> Room:
    return Room()


async def test_keys_are_fetched_once(room: Room) -> None:
    assert all([await room.has("first") for _ in range(20)])
    assert room.provider.fetches_of_keys() == 1


async def test_many_at_once_fetch_once(room: Room) -> None:
    assert all(await asyncio.gather(*(room.has("first") for _ in range(20))))
    assert room.provider.fetches_of_keys() == 1


async def test_a_rotation_is_noticed_by_the_first_token_of_the_new_key(room: Room) -> None:
    await room.has("first")
    room.provider.published = ["first", "second"]
    assert await room.has("second")
    assert room.provider.fetches_of_keys() == 2


async def test_a_key_that_is_withdrawn_is_not_taken_any_more(room: Room) -> None:
    await room.has("first")
    room.provider.published = ["second"]
    assert await room.has("second")
    assert not await room.has("first")


async def test_invented_keys_do_not_make_us_hammer_the_provider(room: Room) -> None:
    await room.has("first")
    for number in range(50):
        assert not await room.has(f"invented {number}")
    assert room.provider.fetches_of_keys() == 2
    room.later(REFETCH_EVERY)
    assert not await room.has("invented")
    assert room.provider.fetches_of_keys() == 3


async def test_while_the_provider_is_away_its_keys_go_on(room: Room) -> None:
    await room.has("first")
    room.provider.away = True
    room.later(USABLE_FOR - timedelta(minutes=1))
    assert await room.has("first")


async def test_after_a_day_without_the_provider_nothing_is_known(room: Room) -> None:
    await room.has("first")
    room.provider.away = True
    room.later(USABLE_FOR)
    with pytest.raises(ProviderAway):
        await room.keys.key("first")


async def test_an_unknown_key_of_an_absent_provider_may_be_a_good_one(room: Room) -> None:
    await room.has("first")
    room.provider.away = True
    with pytest.raises(ProviderAway):
        await room.keys.key("second")


async def test_a_provider_that_was_away_from_the_start_is_asked_again_soon(room: Room) -> None:
    room.provider.away = True
    for _ in range(5):
        with pytest.raises(ProviderAway):
            await room.keys.key("first")
    assert len(room.provider.requests) == 1
    room.provider.away = False
    room.later(AWAY_FOR)
    assert await room.has("first")


async def test_old_keys_are_fetched_anew_behind_the_request(room: Room) -> None:
    await room.has("first")
    room.provider.published = ["second"]
    room.later(FRESH_FOR)
    assert await room.has("first")
    assert room.keys._behind is not None
    await room.keys._behind
    assert room.provider.fetches_of_keys() == 2
    assert await room.has("second")


async def test_a_shared_secret_among_the_keys_is_left_aside(room: Room) -> None:
    room.provider.extra_keys = [
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "RSA", "kid": "for encryption", "use": "enc", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "kid": "broken"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    ]
    assert await room.has("first")
    for key_id in ("secret", "for encryption", "broken"):
        assert not await room.has(key_id)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("https://login.microsoftonline.com/t", "https://login.microsoftonline.com/t/v2.0/.well-known/"),
        ("https://login.microsoftonline.com/t/v2.0/", "https://login.microsoftonline.com/t/v2.0/.well-known/"),
        ("https://idp.example/realms/x/", "https://idp.example/realms/x/.well-known/"),
    ],
)
def test_where_the_provider_describes_itself(authority: str, expected: str) -> None:
    assert discovery_address(authority) == f"{expected}openid-configuration"
