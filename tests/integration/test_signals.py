"""Wake-ups travel through a real PostgreSQL, and a lost connection loses nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.signals import PostgresSignals
from platform_api.db.unit_of_work import SqlUnitOfWork, units_of_work
from platform_api.ports.signals import Channel, Subscription


@pytest.fixture
async def signals(database_url: str) -> AsyncIterator[PostgresSignals]:
    async with PostgresSignals(database_url) as signals:
        yield signals


async def listening(subscription: Subscription) -> None:
    """Wait for the wake-up that everybody gets when the connection stands."""
    assert await subscription.wait(5)


async def notify(engine: AsyncEngine, channel: Channel, payload: str) -> None:
    async with units_of_work(engine)() as uow:
        await uow.notify(channel, payload)


async def test_a_wake_up_reaches_its_listener(signals: PostgresSignals, engine: AsyncEngine) -> None:
    async with signals.subscribe(Channel.EXECUTION, "one") as subscription:
        await listening(subscription)
        await notify(engine, Channel.EXECUTION, "one")
        assert await subscription.wait(5)


async def test_a_listener_of_the_whole_channel_hears_every_payload(
    signals: PostgresSignals, engine: AsyncEngine
) -> None:
    async with signals.subscribe(Channel.WORK) as subscription:
        await listening(subscription)
        await notify(engine, Channel.WORK, "local")
        assert await subscription.wait(5)


async def test_other_payloads_and_channels_wake_nobody(signals: PostgresSignals, engine: AsyncEngine) -> None:
    async with signals.subscribe(Channel.LOG, "mine") as mine, signals.subscribe(Channel.LOG) as everything:
        await listening(mine)
        await listening(everything)
        await notify(engine, Channel.LOG, "yours")
        await notify(engine, Channel.EXECUTION, "mine")
        assert await everything.wait(5)
        assert not await mine.wait(0)


async def test_a_wake_up_before_the_wait_counts_once(signals: PostgresSignals, engine: AsyncEngine) -> None:
    async with signals.subscribe(Channel.LOG, "a") as early, signals.subscribe(Channel.LOG, "a") as witness:
        await listening(early)
        await listening(witness)
        await notify(engine, Channel.LOG, "a")
        assert await witness.wait(5)
        assert await early.wait(0.01)
        assert not await early.wait(0)


async def test_a_rolled_back_transaction_wakes_nobody(signals: PostgresSignals, engine: AsyncEngine) -> None:
    async with signals.subscribe(Channel.LOG) as subscription:
        await listening(subscription)
        async with engine.connect() as connection:
            await SqlUnitOfWork(connection).notify(Channel.LOG, "a")
            await connection.rollback()
        assert not await subscription.wait(0.1)


async def test_everybody_is_woken_once_after_a_lost_connection(signals: PostgresSignals, engine: AsyncEngine) -> None:
    async with signals.subscribe(Channel.SYNC, "a") as first, signals.subscribe(Channel.WORK) as second:
        await listening(first)
        await listening(second)
        async with engine.begin() as connection:
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%signals'")
            )
        assert await first.wait(5)
        assert await second.wait(5)
        assert not await first.wait(0)
        await notify(engine, Channel.SYNC, "a")
        assert await first.wait(5)


async def test_a_database_that_is_away_is_no_error() -> None:
    signals = PostgresSignals("postgresql://nobody@127.0.0.1:1/nothing")
    async with signals, signals.subscribe(Channel.WORK) as subscription:
        assert not await subscription.wait(0.2)


async def test_a_thousand_listeners_share_one_connection(signals: PostgresSignals, engine: AsyncEngine) -> None:
    async with asyncio.timeout(10):
        contexts = [signals.subscribe(Channel.LOG, str(number)) for number in range(1000)]
        subscriptions = [await context.__aenter__() for context in contexts]
        await listening(subscriptions[-1])
        async with engine.begin() as connection:
            count = await connection.scalar(
                text("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%signals'")
            )
        for context in contexts:
            await context.__aexit__(None, None, None)
    assert count == 1
