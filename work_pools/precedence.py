"""Starts go first: what can wait gives way to them (D2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

#: Nobody gives way for longer than this at a time: reports that come late are late, not lost, but they must come.
LONGEST_WAIT_SECONDS = 10.0


class Precedence:
    """Known to all parts of one worker: whether runs that are due are being started at this moment."""

    def __init__(self) -> None:
        self._under_way = 0
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """For as long as starts are under way."""
        self._under_way += 1
        self._free.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._free.set()

    async def give_way(self) -> None:
        """Wait until no start is under way, or the longest wait is over."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await self._free.wait()
        except TimeoutError:
            return
