"""Wakes the engine at the second for which runs were claimed."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from platform_api.ports.clock import Clock

#: The wall clock is looked at again after this long: it may have been set, or the machine suspended.
LONGEST_SLEEP_SECONDS = 1.0


class Timer:
    """Runs by due time, then priority. What is due together comes out together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, UUID]] = []
        self._entries: dict[UUID, tuple[datetime, int, UUID]] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, execution_id: UUID) -> bool:
        return execution_id in self._entries

    def ids(self) -> Iterable[UUID]:
        """Everything that waits for its time."""
        return self._entries.keys()

    def add(self, execution_id: UUID, due_at: datetime, priority: int) -> None:
        """Let the run come out at ``due_at``; a second call replaces the first."""
        entry = (due_at, priority, execution_id)
        self._entries[execution_id] = entry
        heapq.heappush(self._heap, entry)
        self._changed.set()

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._entries.clear()

    async def due(self) -> list[UUID]:
        """Wait for the next due time and take all that are due, in order."""
        while not (ready := self._take()):
            self._changed.clear()
            try:
                async with asyncio.timeout(self._seconds_left()):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return ready

    def _seconds_left(self) -> float | None:
        if not self._heap:
            return None
        left = (self._heap[0][0] - self._clock.now()).total_seconds()
        return min(max(0.0, left), LONGEST_SLEEP_SECONDS)

    def _take(self) -> list[UUID]:
        now = self._clock.now()
        ready: list[UUID] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            # An entry that was replaced stays in the heap until its time and counts for nothing.
            if self._entries.get(entry[2]) is entry:
                del self._entries[entry[2]]
                ready.append(entry[2])
        return ready
