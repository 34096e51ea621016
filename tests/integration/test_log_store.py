"""A log reads the same while it grows, while it moves into the archive and afterwards."""

from __future__ import annotations

import asyncio
import resource
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import executions, log_archives, log_chunks
from platform_api.db.signals import PostgresSignals
from platform_api.domain.errors import Unavailable
from platform_api.domain.log_frames import LogFrame, encode
from platform_api.log_store.archive import FolderArchive
from platform_api.log_store.store import PAGE_BYTES, PostgresLogStore
from platform_api.ports.logs import LogChunk, LogQuery, ResumePoint
from platform_api.ports.signals import Channel
from tests.logs import START_US, an_execution, chunk

WORKER = uuid.UUID(int=1)
OTHER_WORKER = uuid.UUID(int=2)


@pytest.fixture
def store(engine: AsyncEngine, tmp_path: Path) -> PostgresLogStore:
    return PostgresLogStore(engine, FolderArchive(tmp_path))


@pytest.fixture
async def execution(engine: AsyncEngine) -> UUID:
    return await an_execution(engine, WORKER)


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"line %d" % number for number in range(first, first + count)]


async def two_attempts(store: PostgresLogStore, execution: UUID) -> list[bytes]:
    """Seventy lines of attempt 1 in chunks of ten, thirty of attempt 2."""
    chunks = [chunk(execution, first, numbered(10, first), 1 if first < 70 else 2) for first in range(0, 100, 10)]
    assert await store.append(chunks, worker_id=WORKER) == {execution}
    return numbered(100)


async def written(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_only_the_holder_writes(store: PostgresLogStore, engine: AsyncEngine, execution: UUID) -> None:
    other = await an_execution(engine, OTHER_WORKER)
    chunks = [chunk(execution, 0, [b"mine"]), chunk(other, 0, [b"not mine"])]
    assert await store.append(chunks, worker_id=WORKER) == {execution}
    assert [line.data for line in await store.tail(execution, 5)] == [b"mine"]
    assert await store.tail(other, 5) == []


async def test_writing_a_chunk_again_changes_nothing(store: PostgresLogStore, execution: UUID) -> None:
    for _ in range(2):
        await store.append([chunk(execution, 0, [b"a", b"b"])], worker_id=WORKER)
    assert await written(store.raw(execution)) == b"a\nb\n"


async def test_a_takeover_waits_for_the_write_that_is_under_way(
    store: PostgresLogStore, engine: AsyncEngine, execution: UUID
) -> None:
    async def take_over() -> ResumePoint:
        async with engine.begin() as connection:
            await connection.execute(
                update(executions).where(executions.c.id == execution).values(worker_id=OTHER_WORKER)
            )
        return await store.resume_point(execution, 1)

    lines = numbered(2000)
    (next_line, _, _), held = await asyncio.gather(
        take_over(), store.append([chunk(execution, 0, lines)], worker_id=WORKER)
    )
    assert next_line == (2000 if held else 0)
    assert len(await store.tail(execution, 3000)) == next_line


async def test_the_resume_point_is_behind_the_last_chunk_of_the_attempt(
    store: PostgresLogStore, execution: UUID
) -> None:
    assert await store.resume_point(execution, 1) == (0, 0, None)
    await two_attempts(store, execution)
    assert await store.resume_point(execution, 1) == (100, 10_000, {"offset": 70})
    assert await store.resume_point(execution, 2) == (100, 10_000, {"offset": 100})
    assert await store.resume_point(execution, 3) == (100, 10_000, None)


async def test_readers_are_woken(store: PostgresLogStore, database_url: str, execution: UUID) -> None:
    async with PostgresSignals(database_url) as signals, signals.subscribe(Channel.LOG, str(execution)) as waker:
        assert await waker.wait(5)
        await store.append([chunk(execution, 0, [b"a"])], worker_id=WORKER)
        assert await waker.wait(5)


@pytest.mark.parametrize("archived", [False, True], ids=["live", "archived"])
class TestReading:
    """Live and archived, by the same tests."""

    @pytest.fixture
    async def log(self, store: PostgresLogStore, execution: UUID, archived: bool) -> list[bytes]:
        lines = await two_attempts(store, execution)
        if archived:
            await store.archive(execution)
        return lines

    async def test_pages_follow_each_other(self, store: PostgresLogStore, execution: UUID, log: list[bytes]) -> None:
        seen: list[bytes] = []
        start: int | None = 0
        while start is not None:
            page = await store.page(execution, LogQuery(start=start, limit=33))
            assert [line.number for line in page.lines] == list(range(start, start + len(page.lines)))
            seen += [line.data for line in page.lines]
            start = page.next_start
        assert seen == log

    async def test_a_line_knows_its_attempt_stream_and_time(
        self, store: PostgresLogStore, execution: UUID, log: list[bytes]
    ) -> None:
        (line,) = (await store.page(execution, LogQuery(start=75, limit=1))).lines
        assert (line.attempt, line.stream, line.text) == (2, "stdout", "line 75")
        assert line.timestamp.timestamp() == pytest.approx(START_US / 1e6 + 0.075, abs=1e-5)

    async def test_one_attempt_of_several(self, store: PostgresLogStore, execution: UUID, log: list[bytes]) -> None:
        page = await store.page(execution, LogQuery(attempt=2))
        assert [line.number for line in page.lines] == list(range(70, 100))
        assert [line.number for line in await store.tail(execution, 2, attempt=1)] == [68, 69]
        assert await written(store.raw(execution, attempt=2)) == b"".join(line + b"\n" for line in log[70:])
        assert (await store.page(execution, LogQuery(attempt=3))).lines == []

    @pytest.mark.parametrize(
        ("needle", "numbers"), [("NE 9", [9, *range(90, 100)]), ("line 42", [42]), ("nothing", []), ("line é", [])]
    )
    async def test_a_search_finds_a_piece_of_a_line_in_any_case(
        self, store: PostgresLogStore, execution: UUID, log: list[bytes], needle: str, numbers: list[int]
    ) -> None:
        page = await store.page(execution, LogQuery(contains=needle))
        assert [line.number for line in page.lines] == numbers

    async def test_a_search_is_paged(self, store: PostgresLogStore, execution: UUID, log: list[bytes]) -> None:
        page = await store.page(execution, LogQuery(contains="line 9", limit=4))
        assert [line.number for line in page.lines] == [9, 90, 91, 92]
        rest = await store.page(execution, LogQuery(start=page.next_start or 0, contains="line 9"))
        assert [line.number for line in rest.lines] == list(range(93, 100))

    async def test_the_tail(self, store: PostgresLogStore, execution: UUID, log: list[bytes]) -> None:
        assert [line.number for line in await store.tail(execution, 35)] == list(range(65, 100))
        assert len(await store.tail(execution, 1000)) == 100

    async def test_the_raw_log(self, store: PostgresLogStore, execution: UUID, log: list[bytes]) -> None:
        assert await written(store.raw(execution)) == b"".join(line + b"\n" for line in log)


async def test_a_script_may_write_any_bytes(store: PostgresLogStore, execution: UUID) -> None:
    every_byte = bytes(value for value in range(256) if value != 10)
    pieces = [
        LogFrame(START_US, "stdout", every_byte, partial=True),
        LogFrame(START_US, "stdout", b"", partial=False),
        LogFrame(START_US, "stderr", "Größe".encode()),
        LogFrame(START_US, "stdout", b"no line feed at the end", partial=True),
    ]
    frames = b"".join(encode(piece) for piece in pieces)
    await store.append([LogChunk(execution, 1, 0, 4, 0, 290, frames, {})], worker_id=WORKER)
    expected = every_byte + b"\n" + "Größe\nno line feed at the end".encode()
    assert await written(store.raw(execution)) == expected
    await store.archive(execution)
    assert await written(store.raw(execution)) == expected
    assert [line.text for line in (await store.page(execution, LogQuery(contains="gröss"))).lines] == ["Größe"]


async def test_pages_and_tails_of_very_long_lines_stay_bounded(store: PostgresLogStore, execution: UUID) -> None:
    long = b"x" * 60_000
    for first in range(0, 200, 10):
        await store.append([chunk(execution, first, [long] * 10)], worker_id=WORKER)
    page = await store.page(execution, LogQuery(limit=200))
    assert sum(len(line.data) for line in page.lines) <= PAGE_BYTES
    assert page.next_start == len(page.lines) == PAGE_BYTES // 60_000
    assert sum(len(line.data) for line in await store.tail(execution, 200)) <= PAGE_BYTES


async def test_a_reader_goes_on_from_the_archive_in_mid_log(
    store: PostgresLogStore, execution: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform_api.db.logs.READ_CHUNKS", 2)
    lines = await two_attempts(store, execution)
    reader, backwards = store.raw(execution), store._segments_backwards(execution, None)
    pieces = [await anext(reader), await anext(reader), await anext(reader)]
    numbers = [line.number for line in reversed(list((await anext(backwards)).lines()))]
    await store.archive(execution)
    pieces += [piece async for piece in reader]
    async for segment in backwards:
        numbers += [line.number for line in reversed(list(segment.lines()))]
    assert b"".join(pieces) == b"".join(line + b"\n" for line in lines)
    assert numbers == list(range(99, -1, -1))


class TestArchiving:
    """Every step may be the last one before a kill -9."""

    async def counts(self, engine: AsyncEngine) -> tuple[int, int]:
        async with engine.connect() as connection:
            chunks = await connection.scalar(select(func.count()).select_from(log_chunks))
            archives = await connection.scalar(select(func.count()).select_from(log_archives))
        return chunks or 0, archives or 0

    async def test_chunks_become_one_file(
        self, store: PostgresLogStore, engine: AsyncEngine, execution: UUID, tmp_path: Path
    ) -> None:
        await two_attempts(store, execution)
        await store.archive(execution)
        assert await self.counts(engine) == (0, 1)
        assert len(files_in(tmp_path)) == 1
        assert await store.resume_point(execution, 1) == (100, 10_000, None)

    async def test_repeating_it_changes_nothing(
        self, store: PostgresLogStore, engine: AsyncEngine, execution: UUID
    ) -> None:
        lines = await two_attempts(store, execution)
        await asyncio.gather(*(store.archive(execution) for _ in range(3)))
        await store.archive(execution)
        assert await self.counts(engine) == (0, 1)
        assert [line.data for line in await store.tail(execution, 100)] == lines

    async def test_a_log_without_lines_needs_no_archive(
        self, store: PostgresLogStore, engine: AsyncEngine, execution: UUID, tmp_path: Path
    ) -> None:
        await store.archive(execution)
        assert await self.counts(engine) == (0, 0)
        assert files_in(tmp_path) == []

    @pytest.mark.parametrize("moment", ["archive_of", "end_of", "replace_chunks"])
    async def test_a_crash_at_any_moment_is_mended_by_the_next_call(
        self,
        store: PostgresLogStore,
        engine: AsyncEngine,
        execution: UUID,
        monkeypatch: pytest.MonkeyPatch,
        moment: str,
    ) -> None:
        async def crash(*_: object) -> None:
            raise ZeroDivisionError

        lines = await two_attempts(store, execution)
        with monkeypatch.context() as patch:
            patch.setattr(f"platform_api.db.logs.{moment}", crash)
            with pytest.raises(ZeroDivisionError):
                await store.archive(execution)
        assert await self.counts(engine) == (10, 0)
        assert [line.data for line in await store.tail(execution, 100)] == lines
        await store.archive(execution)
        assert await self.counts(engine) == (0, 1)
        assert [line.data for line in await store.tail(execution, 100)] == lines

    async def test_an_archived_log_is_closed(self, store: PostgresLogStore, execution: UUID) -> None:
        await two_attempts(store, execution)
        await store.archive(execution)
        assert await store.append([chunk(execution, 100, [b"late"])], worker_id=WORKER) == set()

    async def test_a_lost_file_is_told_from_an_empty_log(
        self, store: PostgresLogStore, execution: UUID, tmp_path: Path
    ) -> None:
        await two_attempts(store, execution)
        await store.archive(execution)
        (file,) = files_in(tmp_path)
        file.unlink()
        with pytest.raises(Unavailable):
            await store.tail(execution, 1)


async def test_fifty_megabytes_pass_in_bounded_memory(store: PostgresLogStore, execution: UUID) -> None:
    block = [b"%0499d" % number for number in range(512)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(200):
        await store.append([chunk(execution, number * 512, block)], worker_id=WORKER)
    await store.archive(execution)
    size = 0
    async for piece in store.raw(execution):
        size += len(piece)
    assert size == 200 * 512 * 500
    assert len((await store.page(execution, LogQuery(start=100_000, limit=10))).lines) == 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 * 1024
