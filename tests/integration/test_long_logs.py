"""Past its limits a log keeps its head and its tail, and one line tells every reader what is missing between them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import log_chunks
from platform_api.domain.log_frames import LogFrame, encode
from platform_api.domain.log_limits import Count, LogLimits
from platform_api.log_store.archive import FolderArchive
from platform_api.log_store.store import PostgresLogStore
from platform_api.ports.logs import PLATFORM, LogChunk, LogLine, LogQuery, as_written
from tests.attempts import attempt_order, begin
from tests.logs import an_execution, chunk
from work_pools.executors.local.executor import LocalExecutor
from work_pools.executors.protocol import AttemptRef
from work_pools.log_shipper import LogShipper
from work_pools.masking import TRANSPARENT

WORKER = uuid.UUID(int=1)
#: In lines of a hundred bytes: the first 40 and the last 10.
LIMITS = LogLimits(head_bytes=4000, tail_bytes=1000)
CUT_50 = "[... 50 lines (5,000 bytes) cut here: a log keeps its first 0.00381 MB and its last 0.000954 MB ...]"


@pytest.fixture
def store(engine: AsyncEngine, tmp_path: Path) -> PostgresLogStore:
    return PostgresLogStore(engine, FolderArchive(tmp_path), LIMITS)


@pytest.fixture
async def execution(engine: AsyncEngine) -> UUID:
    return await an_execution(engine, WORKER)


async def write(store: PostgresLogStore, execution: UUID, first: int, last: int, attempt: int = 1) -> None:
    """Five lines at a time, as a shipper does while the script writes."""
    for begin_ in range(first, last, 5):
        lines = [b"line %d" % number for number in range(begin_, begin_ + 5)]
        await store.append([chunk(execution, begin_, lines, attempt)], worker_id=WORKER)


async def raw(store: PostgresLogStore, execution: UUID, attempt: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.raw(execution, attempt)])


def expected(*parts: range | str) -> list[str]:
    return [line for part in parts for line in ([part] if isinstance(part, str) else [f"line {n}" for n in part])]


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


async def test_a_log_as_long_as_both_limits_is_whole(store: PostgresLogStore, execution: UUID) -> None:
    await write(store, execution, 0, 50)
    assert texts((await store.page(execution, LogQuery())).lines) == expected(range(50))


async def test_the_database_holds_no_more_however_long_it_grows(
    store: PostgresLogStore, execution: UUID, engine: AsyncEngine
) -> None:
    for first in range(0, 500, 50):
        await write(store, execution, first, first + 50)
        async with engine.connect() as connection:
            size = await connection.scalar(select(func.sum(log_chunks.c.byte_count)))
        assert size == 5000


async def test_a_chunk_that_is_stored_again_after_it_was_cut_stays_away(
    store: PostgresLogStore, execution: UUID
) -> None:
    await write(store, execution, 0, 100)
    before = await raw(store, execution)
    lines = [b"line %d" % number for number in range(50, 100)]
    again = [chunk(execution, 50 + at, lines[at : at + 5]) for at in range(0, 50, 5)]
    await store.append(again, worker_id=WORKER)
    assert await raw(store, execution) == before


@pytest.mark.parametrize("archived", [False, True], ids=["live", "archived"])
class TestReading:
    """Lines 40 to 89 of 100 are cut."""

    @pytest.fixture
    async def log(self, store: PostgresLogStore, execution: UUID, archived: bool) -> UUID:
        await write(store, execution, 0, 100)
        if archived:
            await store.archive(execution)
        return execution

    async def test_a_page(self, store: PostgresLogStore, log: UUID) -> None:
        lines = (await store.page(log, LogQuery())).lines
        assert texts(lines) == expected(range(40), CUT_50, range(90, 100))
        assert (lines[40].stream, lines[40].cut, lines[40].number) == (PLATFORM, Count(50, 5000), 89)
        assert all(a.number < b.number for a, b in pairwise(lines))

    @pytest.mark.parametrize("limit", [1, 39, 40, 41, 42])
    async def test_pages_follow_each_other_over_the_cut(self, store: PostgresLogStore, log: UUID, limit: int) -> None:
        seen: list[str] = []
        start: int | None = 0
        while start is not None:
            page = await store.page(log, LogQuery(start, limit))
            seen += texts(page.lines)
            start = page.next_start
        assert seen == expected(range(40), CUT_50, range(90, 100))

    @pytest.mark.parametrize(("start", "is_told"), [(40, True), (70, True), (89, True), (90, False)])
    async def test_a_follower_is_told_unless_it_has_seen_what_is_gone(
        self, store: PostgresLogStore, log: UUID, start: int, is_told: bool
    ) -> None:
        lines = (await store.page(log, LogQuery(start))).lines
        assert texts(lines) == expected(*([CUT_50] if is_told else []), range(90, 100))

    async def test_the_tail(self, store: PostgresLogStore, log: UUID) -> None:
        assert texts(await store.tail(log, 10)) == expected(range(90, 100))
        assert texts(await store.tail(log, 13)) == expected(range(38, 40), CUT_50, range(90, 100))

    async def test_a_search_says_what_it_could_not_search(self, store: PostgresLogStore, log: UUID) -> None:
        lines = (await store.page(log, LogQuery(contains="line 9"))).lines
        assert texts(lines) == expected("line 9", CUT_50, range(90, 100))

    async def test_the_text(self, store: PostgresLogStore, log: UUID) -> None:
        wanted = expected(range(40), CUT_50, range(90, 100))
        assert (await raw(store, log)).decode().splitlines() == wanted

    async def test_numbers_go_on(self, store: PostgresLogStore, log: UUID) -> None:
        assert (await store.resume_point(log, 1))[:2] == (100, 10_000)


@pytest.mark.parametrize("archived", [False, True], ids=["live", "archived"])
class TestAttempts:
    """The limits are the execution's: of three attempts the second is cut out of it, with parts of its neighbours."""

    @pytest.fixture
    async def log(self, store: PostgresLogStore, execution: UUID, archived: bool) -> UUID:
        await write(store, execution, 0, 50)
        await write(store, execution, 50, 70, attempt=2)
        await write(store, execution, 70, 100, attempt=3)
        if archived:
            await store.archive(execution)
        return execution

    @pytest.mark.parametrize(
        ("attempt", "lines"),
        [(1, [range(40), CUT_50]), (2, [CUT_50]), (3, [CUT_50, range(90, 100)]), (4, [])],
    )
    async def test_the_cut_is_told_to_readers_of_every_attempt_it_touches(
        self, store: PostgresLogStore, log: UUID, attempt: int, lines: list[range | str]
    ) -> None:
        wanted = expected(*lines)
        assert texts((await store.page(log, LogQuery(attempt=attempt))).lines) == wanted
        assert texts(await store.tail(log, 1000, attempt)) == wanted
        assert (await raw(store, log, attempt)).decode().splitlines() == wanted


async def test_the_cut_has_a_line_of_its_own_even_within_a_very_long_one(
    store: PostgresLogStore, execution: UUID
) -> None:
    for number in range(100):
        frames = encode(LogFrame(1, "stdout", b"x" * 100, partial=True))
        piece = LogChunk(execution, 1, number, 1, 100 * number, 100, frames, {})
        await store.append([piece], worker_id=WORKER)
    wanted = f"{'x' * 4000}\n{CUT_50}\n{'x' * 1000}".encode()
    assert await raw(store, execution) == wanted
    assert as_written(await store.tail(execution, 1000)) == wanted


class TestFromTheScriptOn:
    """Real processes, a real database."""

    LIMITS = LogLimits(head_bytes=400_000, tail_bytes=100_000)

    @pytest.fixture
    def store(self, engine: AsyncEngine, tmp_path: Path) -> PostgresLogStore:
        return PostgresLogStore(engine, FolderArchive(tmp_path / "logs"), self.LIMITS)

    @pytest.fixture
    def executor(self, tmp_path: Path) -> LocalExecutor:
        return LocalExecutor(tmp_path / "runs", log_limits=self.LIMITS)

    async def ship(self, store: PostgresLogStore, executor: LocalExecutor, execution: UUID, script: str) -> None:
        """Run the script; nobody looks at its log before it is over."""
        await executor.open()
        ref = AttemptRef(execution, 1)
        await begin(executor, attempt_order(script, ref=ref))
        await executor.wait(ref)
        await drained(LogShipper(executor, store, WORKER, self.LIMITS), ref)
        await executor.close()

    async def test_what_the_executor_dropped_is_counted_too(
        self, store: PostgresLogStore, executor: LocalExecutor, execution: UUID
    ) -> None:
        await self.ship(store, executor, execution, "seq -f '%09.0f' 1 200000")
        await store.archive(execution)
        lines = [line async for line in _all_lines(store, execution)]
        (cut,) = [line for line in lines if line.cut]
        assert cut.cut is not None
        written = [line for line in lines if not line.cut]
        assert len(written) + cut.cut.lines == 200_000
        assert sum(len(line.written) for line in written) + cut.cut.bytes == 2_000_000
        # A line's number is its place in all that was written.
        assert all(int(line.data) == line.number + 1 for line in written)
        assert sum(len(line.written) for line in written if line.number < cut.number) >= 400_000
        assert 100_000 <= sum(len(line.written) for line in written if line.number > cut.number) < 250_000

    @pytest.mark.parametrize(
        "script",
        [
            "head -c 450000 /dev/zero",
            "head -c 450000 /dev/urandom",
            "yes $'\\033[31mred\\033[0m' | head -c 450000",
            "yes '' | head -c 450000",
        ],
        ids=["NUL and no line feed", "broken UTF-8", "colours", "empty lines"],
    )
    async def test_anything_within_the_limits_is_whole(
        self, store: PostgresLogStore, executor: LocalExecutor, execution: UUID, tmp_path: Path, script: str
    ) -> None:
        await self.ship(store, executor, execution, f"{{ {script}; }} | tee copy")
        written = (tmp_path / "runs" / str(execution) / "1" / "work" / "copy").read_bytes()
        assert len(written) == 450_000
        assert await raw(store, execution) == written


async def _all_lines(store: PostgresLogStore, execution: UUID) -> AsyncIterator[LogLine]:
    start: int | None = 0
    while start is not None:
        page = await store.page(execution, LogQuery(start, 10_000))
        for line in page.lines:
            yield line
        start = page.next_start


async def drained(shipper: LogShipper, ref: AttemptRef) -> None:
    """Ship all there is of an attempt that is over."""
    shipping = asyncio.create_task(shipper.run())
    shipper.add(ref, TRANSPARENT, fresh=True)
    await shipper.drain(ref)
    shipping.cancel()
    await asyncio.gather(shipping, return_exceptions=True)
