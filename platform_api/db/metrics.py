"""Figures about one job's executions, in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.ports.metrics import JobFigures, LastExecution, RecentRun

_FIGURES = text("""
    SELECT count(*) AS total,
           count(*) FILTER (WHERE status = 'success') AS successes,
           count(*) FILTER (WHERE status IN ('failed', 'timed_out', 'crashed')) AS failures,
           avg(seconds) AS average,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS percentiles
    FROM (SELECT status,
                 CASE WHEN status IN ('success', 'failed', 'timed_out', 'crashed')
                      THEN greatest(CAST(extract(epoch FROM ended_at - started_at) AS float8), 0) END AS seconds
          FROM executions
          WHERE job_id = :job_id AND (status <> 'queued' OR due_at <= now())
            AND (CAST(:since AS timestamptz) IS NULL OR queued_at >= :since)
            AND (CAST(:until AS timestamptz) IS NULL OR queued_at < :until)) AS spans
""")

_LAST = text("""
    SELECT id, status, started_at, ended_at FROM executions
    WHERE job_id = :job_id AND (status <> 'queued' OR due_at <= now())
    ORDER BY queued_at DESC, id DESC LIMIT 1
""")


_RECENT = text("""
    SELECT job.id AS job_id, run.id, run.status, run.queued_at,
           greatest(CAST(extract(epoch FROM run.ended_at - run.started_at) AS float8), 0) AS seconds
    FROM unnest(CAST(:job_ids AS uuid[])) AS job(id),
         LATERAL (SELECT * FROM executions
                  WHERE job_id = job.id AND (status <> 'queued' OR due_at <= now())
                  ORDER BY queued_at DESC, id DESC LIMIT :count) AS run
    ORDER BY run.queued_at, run.id
""")


class SqlMetrics:
    """See ``ports.metrics.Metrics``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of_job(self, job_id: UUID, since: datetime | None, until: datetime | None) -> JobFigures:
        """Count and measure in one pass over the job's part of the index."""
        parameters = {"job_id": job_id, "since": since, "until": until}
        row = (await self._connection.execute(_FIGURES, parameters)).one()
        last = (await self._connection.execute(_LAST, {"job_id": job_id})).one_or_none()
        median, p95 = row.percentiles or (None, None)
        return JobFigures(
            total=row.total,
            success_count=row.successes,
            failure_count=row.failures,
            avg_duration_seconds=row.average,
            median_duration_seconds=median,
            p95_duration_seconds=p95,
            last_execution=LastExecution(last.id, last.status, last.started_at, last.ended_at) if last else None,
        )

    async def recent(self, job_ids: Sequence[UUID], count: int) -> Mapping[UUID, list[RecentRun]]:
        """Read the end of each job's part of the index."""
        found: defaultdict[UUID, list[RecentRun]] = defaultdict(list)
        for row in await self._connection.execute(_RECENT, {"job_ids": list(job_ids), "count": count}):
            found[row.job_id].append(RecentRun(row.id, row.status, row.queued_at, row.seconds))
        return found
