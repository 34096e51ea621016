"""Work that outlives its failures: a database that restarts must not end a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from work_pools.outages import outages

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0

T = TypeVar("T")


async def until_done(name: str, step: Callable[[], Awaitable[T]]) -> T:
    """Repeat ``step`` until it succeeds, with growing pauses; every step of the engine may be repeated."""
    delay = FIRST_DELAY_SECONDS
    while True:
        try:
            done = await step()
        # Whatever went wrong, giving up would lose a run; the log says what it was.
        except Exception as error:  # noqa: BLE001 - it is told
            outages.failed(name, error, f"again in {delay:.1f} s")
        else:
            outages.succeeded(name)
            return done
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY_SECONDS)


async def forever(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Do ``step`` again and again until cancelled."""
    while True:
        await until_done(name, step)
