"""What is due comes out on time, together and in order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from platform_api.ports.clock import SystemClock
from tests.engine_room import SteppedClock
from work_pools.timer import Timer


async def test_what_is_due_comes_out_together_by_time_then_priority() -> None:
    timer = Timer(SystemClock())
    past = datetime.now(UTC) - timedelta(seconds=5)
    low, high, older = uuid4(), uuid4(), uuid4()
    timer.add(low, past, 3)
    timer.add(high, past, 0)
    timer.add(older, past - timedelta(seconds=1), 3)
    timer.add(uuid4(), past + timedelta(hours=1), 0)
    assert await timer.due() == [older, high, low]
    assert len(timer) == 1


async def test_nothing_comes_out_early_and_a_new_first_one_is_noticed() -> None:
    timer = Timer(SystemClock())
    timer.add(uuid4(), datetime.now(UTC) + timedelta(hours=1), 0)
    waiting = asyncio.create_task(timer.due())
    await asyncio.sleep(0)
    soon, moment = uuid4(), datetime.now(UTC) + timedelta(milliseconds=50)
    timer.add(soon, moment, 0)
    assert await waiting == [soon]
    assert datetime.now(UTC) >= moment


async def test_a_run_added_again_comes_out_once_at_its_new_time() -> None:
    timer = Timer(SystemClock())
    run, past = uuid4(), datetime.now(UTC) - timedelta(seconds=5)
    timer.add(run, past + timedelta(hours=1), 0)
    timer.add(run, past, 0)
    assert await timer.due() == [run]
    assert run not in timer


async def test_a_clock_that_is_set_ahead_is_noticed_within_a_second() -> None:
    clock = SteppedClock()
    timer, run = Timer(clock), uuid4()
    timer.add(run, clock.now() + timedelta(hours=1), 0)
    waiting = asyncio.create_task(timer.due())
    await asyncio.sleep(0)
    clock.step(timedelta(hours=1))
    async with asyncio.timeout(1.5):
        assert await waiting == [run]


async def test_nothing_comes_out_after_the_clock_was_set_back() -> None:
    clock = SteppedClock()
    timer = Timer(clock)
    timer.add(uuid4(), clock.now() + timedelta(seconds=1), 0)
    clock.step(timedelta(hours=-1))
    waiting = asyncio.create_task(timer.due())
    done, _ = await asyncio.wait([waiting], timeout=1.5)
    assert not done
    waiting.cancel()
