"""Chunks in PostgreSQL while a run lives, compressed members in the archive afterwards; one way to read both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_api.db import logs as rows
from platform_api.domain.log_limits import LogLimits
from platform_api.log_store.archive import Archive
from platform_api.log_store.members import MEMBER_BYTES, Member, Wanted, pack, unpack, wanted, wanted_backwards
from platform_api.log_store.segments import End, Needle, Segment
from platform_api.ports.logs import LogChunk, LogLine, LogPage, LogQuery, ResumePoint

#: A page of very long lines ends early, so that no reader can ask for a whole log at once.
PAGE_BYTES = 2 * 1024 * 1024

#: Compressing is work for a core; more at once would only delay the scripts' own starts.
ARCHIVES_AT_ONCE = 2


class PostgresLogStore:
    """The ``LogStore`` of every process."""

    def __init__(self, engine: AsyncEngine, archive: Archive, limits: LogLimits = LogLimits()) -> None:
        self._engine = engine
        self._limits = limits
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
                await rows.drop_middle(connection, taken, self._limits)
                await rows.notify_readers(connection, sorted(held))
        return held

    async def resume_point(self, execution_id: UUID, attempt: int) -> ResumePoint:
        """Where the execution's log ends, and what the attempt's last chunk left for its shipper."""
        async with self._engine.connect() as connection:
            line, byte = await rows.end_of(connection, execution_id)
            return ResumePoint(line, byte, await rows.last_resume(connection, execution_id, attempt))

    async def page(self, execution_id: UUID, query: LogQuery) -> LogPage:
        """One page of lines; ``next_start`` is None when there is nothing behind it (yet)."""
        needle = Needle(query.contains) if query.contains else None
        lines: list[LogLine] = []
        size = 0
        async for segment in self._segments(execution_id, query.start, query.attempt):
            if needle and not segment.cut and not needle.may_be_in(segment.frames):
                continue
            for line in segment.lines():
                # Who searches must know what could not be searched.
                if needle and not line.cut and not needle.is_in(line.data):
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
        """The log as it was written, piece by piece; what the platform says begins on a line of its own."""
        inside_line = False
        async for segment in self._segments(execution_id, 0, attempt):
            piece = segment.written()
            yield b"\n" + piece if segment.cut and inside_line else piece
            inside_line = not piece.endswith(b"\n")

    async def archive(self, execution_id: UUID) -> None:
        """Write the file, then swap index and chunks in one transaction.

        A crash before the swap leaves the chunks, and the next call writes the same file again under the same name.
        """
        async with self._archiving, self._engine.begin() as connection:
            await rows.lock_archiving(connection, execution_id)
            if await rows.archive_of(connection, execution_id) is not None:
                return
            if await rows.end_of(connection, execution_id) == (0, 0):
                return
            location = f"{execution_id.hex[-2:]}/{execution_id}.log.gz"
            members: list[Member] = []
            await self._archive.write(location, _packed(connection, execution_id, members))
            last = members[-1]
            index = rows.ArchiveRow(location, last.end.line, [m.to_json() for m in members])
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
                yield self._segment(chunk, attempt, shown_from=start)
            if archived is not None:
                async for segment in self._unpacked(archived, wanted(archived.members, start, attempt), attempt):
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
                yield self._segment(chunk, attempt, shown_until=end)
            if archived is not None:
                members = wanted_backwards(archived.members, end, attempt)
                async for segment in self._unpacked(archived, members, attempt):
                    yield replace(segment, shown_until=end)
            if not chunks:
                return
            end = chunks[-1].first_line

    async def _unpacked(
        self, archived: rows.ArchiveRow, members: Iterable[Wanted], attempt: int | None
    ) -> AsyncIterator[Segment]:
        for member, before in members:
            data = await self._archive.read(archived.location, member.offset, member.length)
            yield Segment(
                first_line=member.first_line,
                line_count=member.line_count,
                first_byte=member.first_byte,
                attempt=member.attempt,
                frames=await asyncio.to_thread(unpack, data),
                before=before,
                limits=self._limits,
                only_cut=attempt not in (None, member.attempt),
            )

    def _segment(
        self, chunk: rows.ChunkRow, attempt: int | None, shown_from: int = 0, shown_until: int | None = None
    ) -> Segment:
        return Segment(
            first_line=chunk.first_line,
            line_count=chunk.line_count,
            first_byte=chunk.first_byte,
            attempt=chunk.attempt,
            frames=chunk.frames,
            before=End(chunk.line_before, chunk.byte_before, chunk.attempt_before),
            limits=self._limits,
            shown_from=shown_from,
            shown_until=shown_until,
            only_cut=attempt not in (None, chunk.attempt),
        )


async def _packed(connection: AsyncConnection, execution_id: UUID, members: list[Member]) -> AsyncIterator[bytes]:
    """The compressed members of the chunks, one after the other; ``members`` becomes their index."""
    offset = 0
    async for group in _grouped(connection, execution_id):
        data = await asyncio.to_thread(pack, b"".join(chunk.frames for chunk in group))
        lines, size = sum(chunk.line_count for chunk in group), sum(chunk.byte_count for chunk in group)
        first = group[0]
        members.append(Member(offset, len(data), first.first_line, lines, first.attempt, first.first_byte, size))
        offset += len(data)
        yield data


async def _grouped(connection: AsyncConnection, execution_id: UUID) -> AsyncIterator[list[rows.ChunkRow]]:
    """Chunks enough for a member at a time; never lines of two attempts, nor of both sides of a cut."""
    group: list[rows.ChunkRow] = []
    async for chunk in _all_chunks(connection, execution_id):
        apart = group and (chunk.attempt != group[0].attempt or chunk.first_line != chunk.line_before)
        if apart or sum(len(c.frames) for c in group) >= MEMBER_BYTES:
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
