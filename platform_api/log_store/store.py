"""Chunks in PostgreSQL while a run lives, compressed members in the archive afterwards; one way to read both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_api.db import logs as rows
from platform_api.log_store.archive import Archive
from platform_api.log_store.members import MEMBER_BYTES, Member, pack, unpack, wanted, wanted_backwards
from platform_api.log_store.segments import Needle, Segment
from platform_api.ports.logs import LogChunk, LogLine, LogPage, LogQuery

#: A page of very long lines ends early, so that no reader can ask for a whole log at once.
PAGE_BYTES = 4 * 1024 * 1024

#: Compressing is work for a core; more at once would only delay the scripts' own starts.
ARCHIVES_AT_ONCE = 2


class PostgresLogStore:
    """The ``LogStore`` of every process."""

    def __init__(self, engine: AsyncEngine, archive: Archive) -> None:
        self._engine = engine
        self._archive = archive
        self._archiving = asyncio.Semaphore(ARCHIVES_AT_ONCE)

    async def append(self, chunks: list[LogChunk], *, worker_id: UUID) -> set[UUID]:
        """Store the chunks of the executions that the worker still holds, and wake their readers."""
        if not chunks:
            return set()
        ids = sorted({chunk.execution_id for chunk in chunks})
        async with self._engine.begin() as connection:
            held = await rows.lock_held(connection, ids, worker_id)
            taken = [chunk for chunk in chunks if chunk.execution_id in held]
            if taken:
                await rows.insert_chunks(connection, taken)
                await rows.notify_readers(connection, sorted(held))
        return held

    async def resume_point(self, execution_id: UUID, attempt: int) -> tuple[int, dict[str, object] | None]:
        """The execution's next line number, and what the attempt's last chunk left for its shipper."""
        async with self._engine.connect() as connection:
            number = await rows.next_line(connection, execution_id)
            return number, await rows.last_resume(connection, execution_id, attempt)

    async def page(self, execution_id: UUID, query: LogQuery) -> LogPage:
        """One page of lines; ``next_start`` is None when there is nothing behind it (yet)."""
        needle = Needle(query.contains) if query.contains else None
        lines: list[LogLine] = []
        size = 0
        async for segment in self._segments(execution_id, query.start, query.attempt):
            if needle and not needle.may_be_in(segment.frames):
                continue
            for line in segment.lines():
                if needle and not needle.is_in(line.data):
                    continue
                if len(lines) == query.limit or (lines and size + len(line.data) > PAGE_BYTES):
                    return LogPage(lines, line.number)
                lines.append(line)
                size += len(line.data)
        return LogPage(lines, None)

    async def tail(self, execution_id: UUID, count: int, attempt: int | None = None) -> list[LogLine]:
        """The last ``count`` lines (fewer if they are very long)."""
        backwards: list[LogLine] = []
        size = 0
        async for segment in self._segments_backwards(execution_id, attempt):
            for line in reversed(list(segment.lines())):
                size += len(line.data)
                if len(backwards) == count or (backwards and size > PAGE_BYTES):
                    return backwards[::-1]
                backwards.append(line)
        return backwards[::-1]

    async def raw(self, execution_id: UUID, attempt: int | None = None) -> AsyncIterator[bytes]:
        """The log as it was written, piece by piece."""
        async for segment in self._segments(execution_id, 0, attempt):
            yield segment.written()

    async def archive(self, execution_id: UUID) -> None:
        """Write the file, then swap index and chunks in one transaction.

        A crash before the swap leaves the chunks, and the next call writes the same file again under the same name.
        """
        async with self._archiving, self._engine.begin() as connection:
            await rows.lock_archiving(connection, execution_id)
            if await rows.archive_of(connection, execution_id) is not None:
                return
            if await rows.next_line(connection, execution_id) == 0:
                return
            location = f"{execution_id.hex[-2:]}/{execution_id}.log.gz"
            members: list[Member] = []
            await self._archive.write(location, _packed(connection, execution_id, members))
            last = members[-1]
            index = rows.ArchiveRow(location, last.first_line + last.line_count, [m.to_json() for m in members])
            dropped = await rows.replace_chunks(connection, execution_id, index, last.offset + last.length)
            if dropped != sum(member.line_count for member in members):
                raise RuntimeError(f"the log of {execution_id} grew while it was archived; archive it again")

    async def _segments(self, execution_id: UUID, start: int, attempt: int | None) -> AsyncIterator[Segment]:
        """Everything from line ``start`` on, a bounded piece at a time and no connection held in between.

        Chunks are looked for first: if there are none, they were archived before the index is read, so a log that
        is archived between two pieces goes on from the archive without a gap.
        """
        while True:
            async with self._engine.connect() as connection:
                chunks = await rows.chunks_from(connection, execution_id, start, attempt)
                archived = None if chunks else await rows.archive_of(connection, execution_id)
            for chunk in chunks:
                yield replace(_segment(chunk), shown_from=start)
            if archived is not None:
                async for segment in self._unpacked(archived, wanted(archived.members, start, attempt)):
                    yield replace(segment, shown_from=start)
            if not chunks:
                return
            start = chunks[-1].first_line + chunks[-1].line_count

    async def _segments_backwards(self, execution_id: UUID, attempt: int | None) -> AsyncIterator[Segment]:
        """The same from the end."""
        end: int | None = None
        while True:
            async with self._engine.connect() as connection:
                chunks = await rows.chunks_before(connection, execution_id, end, attempt)
                archived = None if chunks else await rows.archive_of(connection, execution_id)
            for chunk in chunks:
                yield replace(_segment(chunk), shown_until=end)
            if archived is not None:
                async for segment in self._unpacked(archived, wanted_backwards(archived.members, end, attempt)):
                    yield replace(segment, shown_until=end)
            if not chunks:
                return
            end = chunks[-1].first_line

    async def _unpacked(self, archived: rows.ArchiveRow, members: Iterable[Member]) -> AsyncIterator[Segment]:
        for member in members:
            data = await self._archive.read(archived.location, member.offset, member.length)
            frames = await asyncio.to_thread(unpack, data)
            yield Segment(member.first_line, member.line_count, member.attempt, frames)


def _segment(chunk: rows.ChunkRow) -> Segment:
    return Segment(chunk.first_line, chunk.line_count, chunk.attempt, chunk.frames)


async def _packed(connection: AsyncConnection, execution_id: UUID, members: list[Member]) -> AsyncIterator[bytes]:
    """The compressed members of the chunks, one after the other; ``members`` becomes their index."""
    offset = 0
    async for group in _grouped(connection, execution_id):
        data = await asyncio.to_thread(pack, b"".join(chunk.frames for chunk in group))
        lines = sum(chunk.line_count for chunk in group)
        members.append(Member(offset, len(data), group[0].first_line, lines, group[0].attempt))
        offset += len(data)
        yield data


async def _grouped(connection: AsyncConnection, execution_id: UUID) -> AsyncIterator[list[rows.ChunkRow]]:
    """Chunks enough for a member at a time; never lines of two attempts."""
    group: list[rows.ChunkRow] = []
    async for chunk in _all_chunks(connection, execution_id):
        if group and (chunk.attempt != group[0].attempt or sum(len(c.frames) for c in group) >= MEMBER_BYTES):
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


async def _all_chunks(connection: AsyncConnection, execution_id: UUID) -> AsyncIterator[rows.ChunkRow]:
    start = 0
    while chunks := await rows.chunks_from(connection, execution_id, start, None):
        for chunk in chunks:
            yield chunk
        start = chunks[-1].first_line + chunks[-1].line_count
