"""What the provider publishes: its issuer, its addresses and the keys that its tokens are signed with.

Fetched when first needed and kept. Three things bring a new fetch, never two at once:

- a key that is not known: the provider has rotated its keys. At most every ``REFETCH_EVERY``, so that tokens with
  invented key ids cannot make us hammer the provider;
- an age of more than ``FRESH_FOR``: fetched behind the request, which goes on with what is held;
- an age of more than ``USABLE_FOR``, which only a long absence of the provider can bring: then nothing is known.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt

from platform_api.domain.errors import NotAuthenticated
from platform_api.identity.http import HttpClient
from platform_api.ports.clock import Clock
from platform_api.ports.identity import ProviderAway

FRESH_FOR = timedelta(hours=1)
USABLE_FOR = timedelta(hours=24)
REFETCH_EVERY = timedelta(seconds=30)

#: How long we do not ask again after a provider gave no answer and nothing is held.
AWAY_FOR = timedelta(seconds=5)

#: Signatures by a private key of the provider's, and nothing else: never `none`, never a shared secret (HS...).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")


@dataclass(frozen=True, slots=True)
class Published:
    """One state of what the provider publishes."""

    issuer: str
    end_session_endpoint: str | None
    keys: Mapping[str, jwt.PyJWK] = field(repr=False)


def fetch_published(http: HttpClient, discovery_address: str) -> Published:
    """Ask the provider (blocking); raises ``ProviderAway`` for no answer and for one that makes no sense."""
    try:
        document = _json(http, discovery_address)
        keys = _json(http, document["jwks_uri"])["keys"]
        end_session = document.get("end_session_endpoint")
        return Published(str(document["issuer"]), end_session, _usable(keys))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise ProviderAway from error


def _json(http: HttpClient, address: str) -> Any:
    if not address.startswith("https://"):
        raise ValueError(f"{address} is not https")
    answer = http.get(address)
    answer.raise_for_status()
    return json.loads(answer.text)


def _usable(keys: list[dict[str, Any]]) -> dict[str, jwt.PyJWK]:
    """The public keys for signatures; whatever else a provider lists is left aside, a shared secret above all."""
    usable = {}
    for key in keys:
        if key.get("kty") not in ("RSA", "EC") or key.get("use", "sig") != "sig" or "kid" not in key:
            continue
        try:
            usable[str(key["kid"])] = jwt.PyJWK(key)
        except jwt.PyJWTError:
            continue
    return usable


class ProviderKeys:
    """The latest state that is known."""

    def __init__(self, fetch: Callable[[], Awaitable[Published]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: Published | None = None
        self._held_since = self._tried_at = self._looked_for_a_key_at = datetime.min.replace(tzinfo=UTC)
        self._away = False
        self._lock = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None

    async def published(self) -> Published:
        """What the provider publishes; raises ``ProviderAway`` when that is not known."""
        if not self._usable():
            await self._fetch_if(lambda: not self._usable() and not (self._away and self._tried_within(AWAY_FOR)))
        elif self._age(self._held_since) >= FRESH_FOR and not self._tried_within(REFETCH_EVERY):
            self._fetch_behind()
        if self._held is None or not self._usable():
            raise ProviderAway
        return self._held

    async def key(self, key_id: str) -> jwt.PyJWK:
        """The key of that id; raises ``NotAuthenticated`` for an unknown one, ``ProviderAway`` without any."""
        known = await self.published()
        if key_id not in known.keys:
            await self._fetch_if(lambda: self._may_look_for(key_id))
            known = await self.published()
        if key_id in known.keys:
            return known.keys[key_id]
        if self._away:
            raise ProviderAway
        raise NotAuthenticated("This token is signed with a key that the identity provider does not publish.")

    def known(self) -> Published | None:
        """What is held, whatever its age; never asks the provider."""
        return self._held

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.wait([self._behind])

    def _age(self, moment: datetime) -> timedelta:
        return self._clock.now() - moment

    def _tried_within(self, time: timedelta) -> bool:
        return self._age(self._tried_at) < time

    def _usable(self) -> bool:
        return self._held is not None and self._age(self._held_since) < USABLE_FOR

    def _may_look_for(self, key_id: str) -> bool:
        """Whether this unknown key is worth a fetch; the answer yes is given once in a while only."""
        if self._held is None or key_id in self._held.keys or self._age(self._looked_for_a_key_at) < REFETCH_EVERY:
            return False
        self._looked_for_a_key_at = self._clock.now()
        return True

    async def _fetch_if(self, wanted: Callable[[], bool]) -> None:
        """Fetch, one at a time; who waited for another's fetch asks again whether one is still wanted."""
        async with self._lock:
            if wanted():
                await self._try()

    async def _try(self) -> None:
        self._tried_at = self._clock.now()
        try:
            self._held = await self._fetch()
        except ProviderAway:
            self._away = True
            return
        self._away, self._held_since = False, self._tried_at

    def _fetch_behind(self) -> None:
        if self._behind is None or self._behind.done():
            self._behind = asyncio.create_task(self._fetch_if(lambda: True), name="identity provider's keys")
