"""Work that outlives its failures: a database that restarts must not end a worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

logger = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0

T = TypeVar("T")


async def until_done(name: str, step: Callable[[], Awaitable[T]]) -> T:
    """Repeat ``step`` until it succeeds, with growing pauses; every step of the engine may be repeated."""
    delay = FIRST_DELAY_SECONDS
    while True:
        try:
            return await step()
        # Whatever went wrong, giving up would lose a run; the log says what it was.
        except Exception:
            logger.exception("%s failed; again in %.1f s", name, delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY_SECONDS)


async def forever(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Do ``step`` again and again until cancelled."""
    while True:
        await until_done(name, step)
