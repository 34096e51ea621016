"""Ships what scripts write into the log store: many executions in one transaction (D6).

Two lanes, each with a transaction of its own. In the first are all who keep up: it looks at every one of them several
times a second, however much others have to say. Whoever is found behind goes into the second until all of it is
shipped, and waits there for the others who are.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from uuid import UUID

from platform_api.domain.log_limits import LogLimits
from platform_api.ports.logs import LogChunk, LogStore
from work_pools.executors.protocol import AttemptRef, Executor
from work_pools.log_tail import LogTail, Position
from work_pools.loops import until_done
from work_pools.masking import Masker

#: A line is stored after this long at the latest, and sooner while few scripts run.
LONGEST_PAUSE_SECONDS = 0.5
SHORTEST_PAUSE_SECONDS = 0.2
PAUSE_PER_RUN_SECONDS = 0.0015

#: A lonely new script is looked at sooner, because somebody may be waiting for its first line.
FIRST_PAUSE_SECONDS = 0.05

#: Who is behind may ship this much before the next one's turn: short, because a lane shares the core with the other.
TURN_BYTES = 256 * 1024
#: So much is held in memory by a lane, or stored in one transaction.
BATCH_BYTES = 1024 * 1024

#: Attempts that end within this time are shipped, and then reported, together.
GATHERING_SECONDS = 0.01


class LogShipper:
    """Two loops over the tails of all live attempts."""

    def __init__(self, executor: Executor, logs: LogStore, worker_id: UUID, limits: LogLimits = LogLimits()) -> None:
        self._executor = executor
        self._limits = limits
        self._logs = logs
        self._worker_id = worker_id
        self._tails: dict[AttemptRef, LogTail] = {}
        self._draining: dict[AttemptRef, asyncio.Future[str | None]] = {}
        self._looks = itertools.count()
        self._wake = asyncio.Event()
        self._wake_behind = asyncio.Event()
        self._fresh = False

    def add(self, ref: AttemptRef, masker: Masker, *, fresh: bool) -> None:
        """Begin to ship through ``masker``; ``fresh`` when nothing of the execution can have been stored yet."""
        if not self._tails:
            self._fresh = True
            self._wake.set()
        self._tails[ref] = LogTail(ref, Position() if fresh else None, masker, self._limits.head_bytes)

    async def drain(self, ref: AttemptRef, *, torn: bool = False) -> str | None:
        """Ship the rest of an attempt that is over; returns the last line it wrote to stderr, if any.

        ``torn`` says that it may have been in the middle of a line when it ended, or that its log was.
        """
        if ref not in self._tails:
            return None
        self._tails[ref].torn = torn
        future = self._draining.setdefault(ref, asyncio.get_running_loop().create_future())
        self._wake.set()
        self._wake_behind.set()
        return await future

    async def run(self) -> None:
        """Ship until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._keep_up(), name="logs")
            lanes.create_task(self._catch_up(), name="long logs")

    async def _keep_up(self) -> None:
        while True:
            await until_done("Shipping logs", self._look_at_all)
            await self._pause(self._pause_seconds())

    async def _look_at_all(self) -> None:
        self._wake.clear()
        over = set(self._draining)
        await self._ship([tail for tail in self._tails.values() if not tail.behind], over, None)

    async def _catch_up(self) -> None:
        while True:
            if not await until_done("Shipping long logs", self._give_turns):
                await self._until_some_are_behind()

    async def _give_turns(self) -> bool:
        """One for each who is behind, the one who waited longest first; False when there was nobody."""
        self._wake_behind.clear()
        over = set(self._draining)
        behind = [tail for tail in self._tails.values() if tail.behind and self._may_read(tail)]
        await self._ship(sorted(behind, key=lambda tail: tail.looked_at), over, TURN_BYTES)
        return bool(behind)

    def _may_read(self, tail: LogTail) -> bool:
        """A flood past its head rests now and then; not once its script is over."""
        return tail.ref in self._draining or not tail.rests

    async def _ship(self, tails: list[LogTail], over: set[AttemptRef], turn: int | None) -> None:
        """One turn for each (None: but a look), a batch at a time."""
        batch: list[LogTail] = []
        size = 0
        for tail in tails:
            size += await self._read(tail, turn, last=tail.ref in over)
            batch.append(tail)
            if turn is not None:
                # The other lane, and all else that this process does, may be due.
                await asyncio.sleep(0)
            if size >= BATCH_BYTES:
                await self._store(batch, over)
                batch, size = [], 0
        await self._store(batch, over)

    async def _read(self, tail: LogTail, turn: int | None, *, last: bool) -> int:
        if tail.stored is None:
            tail.stored = Position.resumed(await self._logs.resume_point(tail.ref.execution_id, tail.ref.attempt))
        tail.looked_at = next(self._looks)
        executor = self._executor
        chunks = await (tail.look(executor, last=last) if turn is None else tail.read(executor, turn, last=last))
        return sum(len(chunk.frames) for chunk in chunks)

    async def _store(self, tails: list[LogTail], over: set[AttemptRef]) -> None:
        chunks = [chunk for tail in tails for chunk in tail.chunks]
        held = await self._append(tails, chunks) if chunks else set()
        for tail in tails:
            self._conclude(tail, is_lost=bool(tail.chunks) and tail.ref.execution_id not in held, over=over)

    async def _append(self, tails: list[LogTail], chunks: list[LogChunk]) -> set[UUID]:
        try:
            return await self._logs.append(chunks, worker_id=self._worker_id)
        except Exception:
            # They may be stored all the same, when the confirmation was lost with the connection: then a longer
            # chunk at the same place would be left out as known. The store says where to go on.
            for tail in tails:
                tail.stored = None
            raise

    def _conclude(self, tail: LogTail, *, is_lost: bool, over: set[AttemptRef]) -> None:
        """Move on; a tail ends when its attempt was over before it was read dry, or when another worker has it."""
        if not is_lost:
            tail.commit()
        if not is_lost and not (tail.exhausted and tail.ref in over):
            self._choose_lane(tail)
            return
        self._tails.pop(tail.ref, None)
        future = self._draining.pop(tail.ref, None)
        if future and not future.done():
            future.set_result(tail.stored.last_error_line if tail.stored else None)

    def _choose_lane(self, tail: LogTail) -> None:
        """For its next turn. An attempt that was over before its log was read dry waits for a last look."""
        tail.behind = not tail.exhausted
        if tail.behind:
            self._wake_behind.set()
        elif tail.ref in self._draining:
            self._wake.set()

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

    async def _until_some_are_behind(self) -> None:
        """Or have rested."""
        rests = [tail.rests_until - time.monotonic() for tail in self._tails.values() if tail.behind]
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(rests)) if rests else None):
                await self._wake_behind.wait()
