"""Chunks of logs that are being written, and the index of those that are archived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, delete, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import executions, log_archives, log_chunks
from platform_api.domain.log_limits import LogLimits
from platform_api.ports.logs import LogChunk
from platform_api.ports.signals import Channel

#: One read takes chunks until this many bytes are reached, and never more than so many of them.
READ_BYTES = 512 * 1024
READ_CHUNKS = 500


@dataclass(frozen=True, slots=True)
class ArchiveRow:
    """Where an archived log is; ``members`` are those of the table."""

    location: str
    line_count: int
    members: list[list[int]]


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A stored chunk as a reader needs it, with the end of the one before it."""

    first_line: int
    line_count: int
    first_byte: int
    byte_count: int
    attempt: int
    frames: bytes
    line_before: int
    byte_before: int
    attempt_before: int


async def lock_held(connection: AsyncConnection, execution_ids: Sequence[UUID], worker_id: UUID) -> set[UUID]:
    """Which of the executions ``worker_id`` still holds; nobody can take them over until the transaction ends.

    A log that is archived is closed for good. Rows are locked in the order of their ids, so that two workers
    cannot wait for each other.
    """
    rows = await connection.execute(
        select(executions.c.id)
        .where(executions.c.id.in_(execution_ids), executions.c.worker_id == worker_id)
        .where(~select(log_archives.c.execution_id).where(log_archives.c.execution_id == executions.c.id).exists())
        .order_by(executions.c.id)
        .with_for_update(read=True, of=executions)
    )
    return set(rows.scalars())


async def insert_chunks(connection: AsyncConnection, chunks: Sequence[LogChunk]) -> None:
    """Store the chunks; one that is there already is left as it is."""
    rows = [
        {
            "execution_id": chunk.execution_id,
            "first_line": chunk.first_line,
            "attempt": chunk.attempt,
            "line_count": chunk.line_count,
            "first_byte": chunk.first_byte,
            "byte_count": chunk.byte_count,
            "frames": chunk.frames,
            "resume": chunk.resume,
        }
        for chunk in chunks
    ]
    await connection.execute(upsert(log_chunks).on_conflict_do_nothing(), rows)


_DROP_MIDDLE = text("""
    DELETE FROM log_chunks c
    USING unnest(CAST(:execution_ids AS uuid[]), CAST(:ends AS bigint[])) AS long (execution_id, keep_from)
    WHERE c.execution_id = long.execution_id
      AND c.first_byte >= :head AND c.first_byte + c.byte_count <= long.keep_from
""")


async def drop_middle(connection: AsyncConnection, chunks: Sequence[LogChunk], limits: LogLimits) -> None:
    """Of logs that these chunks made too long keep the head and the tail; the gap in the numbers stays."""
    ends: dict[UUID, int] = {}
    for chunk in chunks:
        ends[chunk.execution_id] = max(ends.get(chunk.execution_id, 0), chunk.first_byte + chunk.byte_count)
    long = {id_: end - limits.tail_bytes for id_, end in ends.items() if end > limits.head_bytes + limits.tail_bytes}
    if long:
        parameters = {"execution_ids": list(long), "ends": list(long.values()), "head": limits.head_bytes}
        await connection.execute(_DROP_MIDDLE, parameters)


async def notify_readers(connection: AsyncConnection, execution_ids: Sequence[UUID]) -> None:
    """Wake whoever follows one of these logs, at commit."""
    await connection.execute(
        text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS payload"),
        {"channel": Channel.LOG.value, "payloads": [str(execution_id) for execution_id in execution_ids]},
    )


_END = text("""
    SELECT first_line + line_count, first_byte + byte_count FROM log_chunks
    WHERE execution_id = :execution_id ORDER BY first_line DESC LIMIT 1
""")


async def end_of(connection: AsyncConnection, execution_id: UUID) -> tuple[int, int]:
    """The number of the execution's next line, and how many bytes its scripts wrote before it."""
    archived = await archive_of(connection, execution_id)
    if archived is not None:
        *_, first_byte, byte_count = archived.members[-1]
        return archived.line_count, first_byte + byte_count
    row = (await connection.execute(_END, {"execution_id": execution_id})).one_or_none()
    return (row[0], row[1]) if row else (0, 0)


async def last_resume(connection: AsyncConnection, execution_id: UUID, attempt: int) -> dict[str, Any] | None:
    """What the attempt's last chunk says about where its shipper was."""
    resume: dict[str, Any] | None = await connection.scalar(
        select(log_chunks.c.resume)
        .where(log_chunks.c.execution_id == execution_id, log_chunks.c.attempt == attempt)
        .order_by(log_chunks.c.first_line.desc())
        .limit(1)
    )
    return resume


_FIELDS = "execution_id, first_line, line_count, first_byte, byte_count, attempt, frames"

#: Wanted are the chunks of one attempt, and the first one behind it: what lies before that may have been its end.
_OF_ATTEMPT = """
    (CAST(:attempt AS integer) IS NULL OR attempt = :attempt OR first_line = (
        SELECT min(first_line) FROM log_chunks WHERE execution_id = :execution_id AND attempt > :attempt))
"""

#: With the end of the chunk before each, whatever its attempt; where that is not where it begins, lines are missing.
_WITH_THE_ONE_BEFORE = """
    SELECT chosen.first_line, chosen.line_count, chosen.first_byte, chosen.byte_count, chosen.attempt, frames,
           coalesce(before.first_line + before.line_count, 0) AS line_before,
           coalesce(before.first_byte + before.byte_count, 0) AS byte_before,
           coalesce(before.attempt, 1) AS attempt_before
    FROM chosen LEFT JOIN LATERAL (
        SELECT first_line, line_count, first_byte, byte_count, attempt FROM log_chunks
        WHERE execution_id = :execution_id AND first_line < chosen.first_line
        ORDER BY first_line DESC LIMIT 1) AS before ON true
    WHERE upto - size < :bytes
"""

#: Chunks from the one that holds line :start on, in order, until the byte budget is spent.
CHUNKS_FROM = text(f"""
    WITH chosen AS (
        SELECT {_FIELDS}, octet_length(frames) AS size, sum(octet_length(frames)) OVER (ORDER BY first_line) AS upto
        FROM log_chunks
        WHERE execution_id = :execution_id
          AND first_line >= coalesce((SELECT max(first_line) FROM log_chunks
                                      WHERE execution_id = :execution_id AND first_line <= :start), :start)
          AND first_line + line_count > :start
          AND {_OF_ATTEMPT}
        ORDER BY first_line LIMIT :chunks)
    {_WITH_THE_ONE_BEFORE} ORDER BY chosen.first_line
""")  # noqa: S608 - the constants above

#: The last chunks that begin before line :end, backwards, until the byte budget is spent.
CHUNKS_BEFORE = text(f"""
    WITH chosen AS (
        SELECT {_FIELDS}, octet_length(frames) AS size,
               sum(octet_length(frames)) OVER (ORDER BY first_line DESC) AS upto
        FROM log_chunks
        WHERE execution_id = :execution_id
          AND (CAST(:end AS bigint) IS NULL OR first_line < :end)
          AND {_OF_ATTEMPT}
        ORDER BY first_line DESC LIMIT :chunks)
    {_WITH_THE_ONE_BEFORE} ORDER BY chosen.first_line DESC
""")  # noqa: S608 - the constants above


async def chunks_from(
    connection: AsyncConnection, execution_id: UUID, start: int, attempt: int | None
) -> list[ChunkRow]:
    """The next few chunks that hold line ``start`` or later ones, in order; one statement, so one snapshot."""
    return await _chunks(connection, CHUNKS_FROM, execution_id=execution_id, start=start, attempt=attempt)


async def chunks_before(
    connection: AsyncConnection, execution_id: UUID, end: int | None, attempt: int | None
) -> list[ChunkRow]:
    """The last few chunks that begin before line ``end`` (None: at all), the last one first."""
    return await _chunks(connection, CHUNKS_BEFORE, execution_id=execution_id, end=end, attempt=attempt)


async def _chunks(connection: AsyncConnection, query: TextClause, **parameters: object) -> list[ChunkRow]:
    rows = await connection.execute(query, {**parameters, "chunks": READ_CHUNKS, "bytes": READ_BYTES})
    return [ChunkRow(**row) for row in rows.mappings()]


async def archive_of(connection: AsyncConnection, execution_id: UUID) -> ArchiveRow | None:
    """Where the execution's log is archived, if it is."""
    row = (
        await connection.execute(select(log_archives).where(log_archives.c.execution_id == execution_id))
    ).one_or_none()
    return None if row is None else ArchiveRow(row.location, row.line_count, row.members)


async def lock_archiving(connection: AsyncConnection, execution_id: UUID) -> None:
    """Be the only one who archives this log until the transaction ends."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"archive {execution_id}"}
    )


async def replace_chunks(connection: AsyncConnection, execution_id: UUID, archived: ArchiveRow, byte_count: int) -> int:
    """Put the archive's index in place of the chunks and return how many lines the dropped chunks had."""
    await connection.execute(
        insert(log_archives).values(
            execution_id=execution_id,
            location=archived.location,
            line_count=archived.line_count,
            byte_count=byte_count,
            members=archived.members,
        )
    )
    dropped = await connection.execute(
        delete(log_chunks).where(log_chunks.c.execution_id == execution_id).returning(log_chunks.c.line_count)
    )
    return sum(dropped.scalars())
