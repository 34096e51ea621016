"""One transaction, and the stores that share it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_api.ports.signals import Channel


class SqlUnitOfWork:
    """The stores of one open transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def notify(self, channel: Channel, payload: str) -> None:
        """Wake the channel's listeners at commit."""
        await self._connection.execute(
            text("SELECT pg_notify(:channel, :payload)"), {"channel": channel.value, "payload": payload}
        )


def units_of_work(engine: AsyncEngine) -> Callable[[], AbstractAsyncContextManager[SqlUnitOfWork]]:
    """A factory of transactions on ``engine``."""

    @asynccontextmanager
    async def unit_of_work() -> AsyncIterator[SqlUnitOfWork]:
        async with engine.begin() as connection:
            yield SqlUnitOfWork(connection)

    return unit_of_work
