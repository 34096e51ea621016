"""Wake-ups between processes over PostgreSQL's LISTEN and NOTIFY: one connection per process, however many listen."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from platform_api.db.engine import libpq_url
from platform_api.ports.signals import Channel, Subscription

logger = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0

#: A connection whose other end vanished without a word is noticed after about 20 seconds.
CONNECTION: dict[str, str | int | None] = {
    "application_name": "job-platform signals",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}

_Key: TypeAlias = tuple[Channel, str | None]


class PostgresSubscription:
    """One listener: a flag that wake-ups raise and ``wait`` lowers."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let the next (or present) ``wait`` return True."""
        self._woken.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """Return True at the next wake-up, False at the deadline."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class PostgresSignals:
    """Listens on every channel and hands each wake-up to whom it concerns.

    Wake-ups that came while the connection was away are lost, so everybody is woken once when it is back
    (and when it stands for the first time). Starts with ``open`` or with the first subscription.
    """

    def __init__(self, database_url: str) -> None:
        self._conninfo = make_conninfo(libpq_url(database_url), **CONNECTION)
        self._subscriptions: defaultdict[_Key, set[PostgresSubscription]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self._delay = FIRST_DELAY_SECONDS
        self._is_away = False

    async def open(self) -> None:
        """Begin to listen; does not wait for the database."""
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen_for_ever(), name="postgres-signals")

    async def close(self) -> None:
        """Stop listening."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener

    async def __aenter__(self) -> PostgresSignals:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def subscribe(self, channel: Channel, payload: str | None = None) -> AsyncIterator[Subscription]:
        """Listen until the context ends; without ``payload``, to the whole channel."""
        await self.open()
        key = (channel, payload)
        subscription = PostgresSubscription()
        self._subscriptions[key].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions[key].discard(subscription)
            if not self._subscriptions[key]:
                del self._subscriptions[key]

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                self._tell(str(error).strip())
            await asyncio.sleep(self._delay)
            self._delay = min(self._delay * 2, LONGEST_DELAY_SECONDS)

    async def _listen(self) -> None:
        """Listen until the connection is lost."""
        async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
            for channel in Channel:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel.value)))
            self._delay = FIRST_DELAY_SECONDS
            if self._is_away:
                logger.warning("The connection that listens for wake-ups is back")
                self._is_away = False
            self._wake_all()
            async for notice in connection.notifies():
                self._wake(Channel(notice.channel), notice.payload)

    def _tell(self, reason: str) -> None:
        """Once for each time that it is away."""
        if not self._is_away:
            told = reason.splitlines()[0] if reason else "no reason given"
            logger.warning("Lost the connection that listens for wake-ups (%s); tried again until it is back", told)
        self._is_away = True
        logger.debug("No connection that listens for wake-ups: %s", reason)

    def _wake(self, channel: Channel, payload: str) -> None:
        for key in ((channel, payload), (channel, None)):
            for subscription in self._subscriptions.get(key, ()):
                subscription.wake()

    def _wake_all(self) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.wake()
