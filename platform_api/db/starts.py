"""Starts in SQL; the partial unique index has the last word on overlap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.ports.starts import Refusal, Start, WorkerName

_BEGIN = text("""
    UPDATE executions e
    SET status = 'running', job_version = w.version, exclusive = w.exclusive, worker = :worker, reason = NULL,
        started_at = coalesce(e.started_at, :now)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS int[]), CAST(:exclusives AS bool[]))
         AS w(id, version, exclusive)
    WHERE e.id = w.id AND e.worker_id = :worker_id AND e.status IN ('queued', 'retrying')
      AND (NOT w.exclusive OR e.status = 'retrying' OR NOT EXISTS (
            SELECT 1 FROM executions o
            WHERE o.job_id = e.job_id AND o.exclusive AND o.status IN ('running', 'retrying') AND o.id <> e.id))
    RETURNING e.id
""")

_ATTEMPTS = text("""
    INSERT INTO attempts (execution_id, attempt, status, started_at, worker)
    SELECT id, attempt, 'running', :now, :worker FROM executions WHERE id = ANY(CAST(:ids AS uuid[]))
    ON CONFLICT DO NOTHING
""")

_OCCUPANTS = text("""
    SELECT job_id, id FROM executions
    WHERE job_id = ANY(CAST(:jobs AS uuid[])) AND exclusive AND status IN ('running', 'retrying')
""")

_REFUSE = text("""
    UPDATE executions e SET status = w.status, reason = w.reason, ended_at = :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:reasons AS text[])) AS w(id, status, reason)
    WHERE e.id = w.id
""")

_UNBLOCKED = text("""
    SELECT DISTINCT ON (place) id FROM (
        SELECT e.*, CASE WHEN e.worker_id = :worker_id AND e.status = 'queued' AND e.exclusive
                         THEN e.job_id ELSE e.id END AS place
        FROM executions e WHERE e.id = ANY(CAST(:ids AS uuid[]))) e
    WHERE e.place = e.id OR NOT EXISTS (
        SELECT 1 FROM executions o
        WHERE o.job_id = e.job_id AND o.exclusive AND o.status IN ('running', 'retrying'))
    ORDER BY place, due_at, priority, queued_at, id
""")

_CORRECT = text("""
    WITH w AS (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:moments AS timestamptz[]))
               AS w(id, attempt, moment)),
    corrected AS (
        UPDATE attempts a SET started_at = w.moment FROM w WHERE a.execution_id = w.id AND a.attempt = w.attempt)
    UPDATE executions e SET started_at = w.moment FROM w WHERE e.id = w.id AND w.attempt = 1
""")


class SqlStarts:
    """See ``ports.starts.Starts``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, worker: WorkerName, starts: Sequence[Start], now: datetime) -> set[UUID]:
        """Try all in one statement; if another worker takes a place meanwhile, one by one."""
        try:
            begun = await self._begin(worker, starts, now)
        except IntegrityError:
            begun = set()
            for start in starts:
                begun |= await self._begin_alone(worker, start, now)
        await self._connection.execute(_ATTEMPTS, {"ids": list(begun), "now": now, "worker": worker.name})
        return begun

    async def _begin_alone(self, worker: WorkerName, start: Start, now: datetime) -> set[UUID]:
        try:
            return await self._begin(worker, [start], now)
        except IntegrityError:
            return set()

    async def _begin(self, worker: WorkerName, starts: Sequence[Start], now: datetime) -> set[UUID]:
        async with self._connection.begin_nested():
            return set(
                await self._connection.scalars(
                    _BEGIN,
                    {
                        "ids": [start.id for start in starts],
                        "versions": [start.version for start in starts],
                        "exclusives": [start.exclusive for start in starts],
                        "worker_id": worker.id,
                        "worker": worker.name,
                        "now": now,
                    },
                )
            )

    async def occupants(self, job_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Read who has the only place of each job."""
        rows = await self._connection.execute(_OCCUPANTS, {"jobs": list(job_ids)})
        return {row.job_id: row.id for row in rows}

    async def refuse(self, refusals: Sequence[Refusal], now: datetime) -> None:
        """End them. Their rows are locked by the transaction that decided."""
        await self._connection.execute(
            _REFUSE,
            {
                "ids": [refusal.id for refusal in refusals],
                "statuses": [refusal.status.value for refusal in refusals],
                "reasons": [refusal.reason for refusal in refusals],
                "now": now,
            },
        )

    async def drop(self, ids: Sequence[UUID]) -> None:
        """Delete the rows and what was to be reported of them."""
        for statement in (
            "DELETE FROM prefect_reports WHERE execution_id = ANY(CAST(:ids AS uuid[]))",
            "DELETE FROM executions WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'queued'",
        ):
            await self._connection.execute(text(statement), {"ids": list(ids)})

    async def wait(self, reasons: Sequence[tuple[UUID, str]]) -> None:
        """Note the reasons."""
        await self._connection.execute(
            text("""
                UPDATE executions e SET reason = w.reason
                FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS w(id, reason) WHERE e.id = w.id
            """),
            {"ids": [id_ for id_, _ in reasons], "reasons": [reason for _, reason in reasons]},
        )

    async def unblocked(self, worker_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        """Find the runs that need not wait (longer); of each job whose place is free, the first."""
        return list(await self._connection.scalars(_UNBLOCKED, {"ids": list(ids), "worker_id": worker_id}))

    async def correct(self, started: Sequence[tuple[UUID, int, datetime]]) -> None:
        """Replace the moment of the intent by that of the start."""
        await self._connection.execute(
            _CORRECT,
            {
                "ids": [id_ for id_, _, _ in started],
                "attempts": [attempt for _, attempt, _ in started],
                "moments": [moment for _, _, moment in started],
            },
        )
