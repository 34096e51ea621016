"""Logs on their way into the database, from scripts that write faster than it takes them."""

from __future__ import annotations

import asyncio
import resource
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import log_chunks
from platform_api.domain.jobs import JobType
from platform_api.domain.log_frames import LogFrame, encode
from platform_api.domain.log_limits import MEGABYTE, Count, LogLimits
from platform_api.log_store.archive import FolderArchive
from platform_api.log_store.store import PostgresLogStore
from platform_api.ports.logs import LogChunk, LogQuery
from tests.attempts import attempt_order, begin
from tests.engine_room import until
from tests.logs import an_execution
from tests.scripted_executor import Machine, ScriptedExecutor
from work_pools import log_shipper
from work_pools.executors.local.executor import LocalExecutor
from work_pools.executors.protocol import AttemptRef, Executor
from work_pools.log_shipper import LogShipper
from work_pools.log_tail import FLOOD_BYTES_PER_SECOND
from work_pools.masking import TRANSPARENT

WORKER = uuid.UUID(int=1)
LINE = encode(LogFrame(1, "stdout", b"x" * 99))


@asynccontextmanager
async def shipping(shipper: LogShipper) -> AsyncIterator[LogShipper]:
    task = asyncio.create_task(shipper.run())
    yield shipper
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def store(engine: AsyncEngine, tmp_path: Path) -> PostgresLogStore:
    return PostgresLogStore(engine, FolderArchive(tmp_path / "logs"))


class CountingStore(PostgresLogStore):
    """Knows the largest write and who wrote in which order."""

    largest = 0
    order: list[UUID]

    async def append(self, chunks: list[LogChunk], *, worker_id: UUID) -> set[UUID]:
        self.largest = max(self.largest, sum(len(chunk.frames) for chunk in chunks))
        self.order = [*getattr(self, "order", []), *(chunk.execution_id for chunk in chunks)]
        return await super().append(chunks, worker_id=worker_id)


async def test_who_writes_little_does_not_wait_for_who_writes_much(engine: AsyncEngine, tmp_path: Path) -> None:
    store, machine = CountingStore(engine, FolderArchive(tmp_path)), Machine()
    loud = [AttemptRef(await an_execution(engine, WORKER), 1) for _ in range(4)]
    quiet = AttemptRef(await an_execution(engine, WORKER), 1)
    for ref in loud:
        machine.attempt(ref).output += LINE * 40_000
    machine.attempt(quiet).write("first")
    async with shipping(LogShipper(ScriptedExecutor(machine), store, WORKER)) as shipper:
        for ref in (*loud, quiet):
            shipper.add(ref, TRANSPARENT, fresh=True)
        await until(lambda: _has(store, quiet, 1))
        machine.attempt(quiet).write("second")
        await until(lambda: _has(store, quiet, 2))
        assert not all([await _has(store, ref, 40_000) for ref in loud])
        for ref in loud:
            await shipper.drain(ref)
    assert all([await _has(store, ref, 40_000) for ref in loud])
    assert store.largest < 2 * log_shipper.BATCH_BYTES


async def _has(store: PostgresLogStore, ref: AttemptRef, lines: int) -> bool:
    return (await store.resume_point(ref.execution_id, 1)).line >= lines


async def test_past_its_head_a_flood_is_shipped_at_a_bounded_pace_until_its_script_ends(
    engine: AsyncEngine, store: PostgresLogStore
) -> None:
    machine, limits = Machine(), LogLimits(head_bytes=MEGABYTE, tail_bytes=100 * MEGABYTE)
    ref = AttemptRef(await an_execution(engine, WORKER), 1)
    machine.attempt(ref).output += LINE * 300_000
    async with shipping(LogShipper(ScriptedExecutor(machine), store, WORKER, limits)) as shipper:
        began = time.monotonic()
        shipper.add(ref, TRANSPARENT, fresh=True)
        # It goes on by itself after each rest ...
        await until(lambda: _has(store, ref, 60_000), 60)
        # ... and not before: what lies behind the head has taken its time, but for the last turn.
        shipped = (await store.resume_point(ref.execution_id, 1)).line * len(LINE)
        beyond = shipped - MEGABYTE - 2 * log_shipper.TURN_BYTES
        assert time.monotonic() - began > beyond / FLOOD_BYTES_PER_SECOND
        await shipper.drain(ref)
    assert await _has(store, ref, 300_000)


async def test_sixty_megabytes_from_a_real_script(engine: AsyncEngine, store: PostgresLogStore, tmp_path: Path) -> None:
    """Full size: nobody's memory grows, the first 40 and the last 10 MB stay, and the rest is counted."""
    executor: Executor = LocalExecutor(tmp_path / "runs")
    await executor.open()
    ref = AttemptRef(await an_execution(engine, WORKER), 1)
    script = "for n in range(0, 600000, 100): print(''.join(f'{i:099d}\\n' for i in range(n, n + 100)), end='')"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with shipping(LogShipper(executor, store, WORKER)) as shipper:
        await begin(executor, attempt_order(script, type=JobType.PYTHON, ref=ref, timeout_seconds=100))
        shipper.add(ref, TRANSPARENT, fresh=True)
        await executor.wait(ref)
        await shipper.drain(ref)
    await executor.close()
    async with engine.connect() as connection:
        kept = await connection.scalar(select(func.sum(log_chunks.c.byte_count)))
    await store.archive(ref.execution_id)
    head, tail, cut = await _parts(store, ref.execution_id)
    assert head * 100 >= 40 * MEGABYTE
    assert 10 * MEGABYTE <= tail * 100 < 12 * MEGABYTE
    assert cut == Count(600_000 - head - tail, 60_000_000 - 100 * (head + tail))
    assert kept == 100 * (head + tail)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 64


async def _parts(store: PostgresLogStore, execution: UUID) -> tuple[int, int, Count | None]:
    """Lines before the cut, lines behind it, and the cut; every line is where its number says."""
    cut, counts, start = None, [0, 0], 0
    while (page := await store.page(execution, LogQuery(start, 10_000))).lines:
        for line in page.lines:
            if line.cut:
                cut = line.cut
                continue
            assert int(line.data) == line.number
            counts[cut is not None] += 1
        start = page.lines[-1].number + 1
    return counts[0], counts[1], cut
