"""Rate limits by the ``limits`` library."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from platform_api.ports.rate_limits import Allowance, Limit
from platform_api.rate_limits.vouchers import Vouchers

logger = logging.getLogger(__name__)

#: A request waits no longer for a count; it is not worth it.
REDIS_MAY_TAKE_SECONDS = 0.25

#: After a failure nobody asks Redis for so long: every request would wait for the same answer.
PAUSE_SECONDS = 5.0

Counted = TypeVar("Counted")


class CountedLimits:
    """``ports.rate_limits.RateLimits``; ``redis_url`` None counts in this process alone."""

    def __init__(self, redis_url: str | None = None) -> None:
        self._redis_url = redis_url
        self._strategies: dict[bool, RateLimiter] = {}
        self._vouchers = Vouchers()
        self._away_until = 0.0
        self.unchecked = 0

    async def take(self, limit: Limit, who: str) -> Allowance:
        """Use one up, if there is one left."""
        return await self._unless_away(limit, lambda: self._taken(limit, who))

    async def look(self, limit: Limit, who: str) -> Allowance:
        """Say what is left."""
        return await self._unless_away(limit, lambda: self._seen(limit, who))

    def vouch(self, credential: str) -> None:
        """Remember it as a digest."""
        self._vouchers.add(credential)

    def is_vouched(self, credential: str) -> bool:
        """Whether it is remembered."""
        return self._vouchers.holds(credential)

    async def close(self) -> None:
        """Give up the connections to Redis."""
        for strategy in self._strategies.values():
            if isinstance(strategy.storage, RedisStorage):
                await strategy.storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]

    async def _taken(self, limit: Limit, who: str) -> Allowance:
        strategy, item = self._strategy(limit), _item(limit)
        allowed = await strategy.hit(item, who)
        left = await strategy.get_window_stats(item, who)
        return Allowance(limit, allowed, left.remaining, max(0.0, left.reset_time - time.time()))

    async def _seen(self, limit: Limit, who: str) -> Allowance:
        left = await self._strategy(limit).get_window_stats(_item(limit), who)
        return Allowance(limit, left.remaining > 0, left.remaining, max(0.0, left.reset_time - time.time()))

    async def _unless_away(self, limit: Limit, count: Callable[[], Awaitable[Allowance]]) -> Allowance:
        """A platform that runs jobs and cannot count requests is better than one that does neither."""
        if time.monotonic() >= self._away_until:
            try:
                return await count()
            except StorageError:
                self._away_until = time.monotonic() + PAUSE_SECONDS
                logger.warning("Redis does not answer: requests go on uncounted", exc_info=True)
        self.unchecked += 1
        return Allowance(limit, True, limit.most, 0.0)

    def _strategy(self, limit: Limit) -> RateLimiter:
        """Made at first use: the storage in memory wants a running event loop."""
        if limit.exact not in self._strategies:
            kind = MovingWindowRateLimiter if limit.exact else SlidingWindowCounterRateLimiter
            self._strategies[limit.exact] = kind(self._storage())
        return self._strategies[limit.exact]

    def _storage(self) -> Storage:
        if self._redis_url is None:
            return MemoryStorage()
        return RedisStorage(
            f"async+{self._redis_url}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="job-platform",
            socket_timeout=REDIS_MAY_TAKE_SECONDS,
            socket_connect_timeout=REDIS_MAY_TAKE_SECONDS,
        )


def _item(limit: Limit) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(limit.most, limit.seconds, namespace=limit.name)
