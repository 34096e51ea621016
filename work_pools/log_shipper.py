"""Ships what scripts write into the log store: many executions in one transaction (D6)."""

from __future__ import annotations

import asyncio
from uuid import UUID

from platform_api.ports.logs import LogStore
from work_pools.executors.protocol import AttemptRef, Executor
from work_pools.log_tail import LogTail, Position
from work_pools.loops import until_done
from work_pools.masking import Masker

#: A line is stored after this long at the latest, and sooner while few scripts run.
LONGEST_PAUSE_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS = 0.2
PAUSE_PER_RUN_SECONDS = 0.004

#: A lonely new script is looked at sooner, because somebody may be waiting for its first line.
FIRST_PAUSE_SECONDS = 0.05

#: Attempts that end within this time are shipped, and then reported, together.
GATHERING_SECONDS = 0.01


class LogShipper:
    """One loop over the tails of all live attempts."""

    def __init__(self, executor: Executor, logs: LogStore, worker_id: UUID) -> None:
        self._executor = executor
        self._logs = logs
        self._worker_id = worker_id
        self._tails: dict[AttemptRef, LogTail] = {}
        self._draining: dict[AttemptRef, asyncio.Future[str | None]] = {}
        self._wake = asyncio.Event()
        self._fresh = False

    def add(self, ref: AttemptRef, masker: Masker, *, fresh: bool) -> None:
        """Begin to ship through ``masker``; ``fresh`` when nothing of the execution can have been stored yet."""
        if not self._tails:
            self._fresh = True
            self._wake.set()
        self._tails[ref] = LogTail(ref, Position(0, 0) if fresh else None, masker)

    async def drain(self, ref: AttemptRef) -> str | None:
        """Ship the rest of an attempt that is over; returns the last line it wrote to stderr, if any."""
        if ref not in self._tails:
            return None
        future = self._draining.setdefault(ref, asyncio.get_running_loop().create_future())
        self._wake.set()
        return await future

    async def run(self) -> None:
        """Ship until cancelled."""
        while True:
            more = await until_done("Shipping logs", self._ship)
            await self._pause(0.0 if more else self._pause_seconds())

    async def flush(self) -> None:
        """Ship what is there now; for a worker that stops."""
        await self._ship()

    async def _ship(self) -> bool:
        """One turn for every tail; True when some of them have more to give."""
        self._wake.clear()
        draining = set(self._draining)
        tails = list(self._tails.values())
        chunks = []
        for tail in tails:
            if tail.stored is None:
                tail.stored = Position.resumed(*await self._logs.resume_point(tail.ref.execution_id, tail.ref.attempt))
            chunks.extend(await tail.read(self._executor, last=tail.ref in draining))
        held = await self._logs.append(chunks, worker_id=self._worker_id) if chunks else set()
        for tail in tails:
            self._conclude(tail, is_lost=bool(tail.chunks) and tail.ref.execution_id not in held, over=draining)
        return any(not tail.exhausted for tail in tails if tail.ref in self._tails)

    def _conclude(self, tail: LogTail, *, is_lost: bool, over: set[AttemptRef]) -> None:
        """Move on; a tail ends when its attempt was over before it was read dry, or when another worker has it."""
        if not is_lost:
            tail.commit()
        if not is_lost and not (tail.exhausted and tail.ref in over):
            return
        self._tails.pop(tail.ref, None)
        future = self._draining.pop(tail.ref, None)
        if future and not future.done():
            future.set_result(tail.stored.last_error_line if tail.stored else None)

    def _pause_seconds(self) -> float:
        if self._fresh:
            self._fresh = False
            return FIRST_PAUSE_SECONDS
        wanted = len(self._tails) * PAUSE_PER_RUN_SECONDS
        return min(max(wanted, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Until it is time, or an attempt ends or begins; with nothing to ship, for as long as that takes."""
        try:
            async with asyncio.timeout(seconds if self._tails else None):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(GATHERING_SECONDS)
