"""The figures of the health page in SQL."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.ports.health import Vitals

_VITALS = text("""
    WITH live AS (
        SELECT heartbeat_at, warnings FROM workers
        WHERE pool = :pool AND stopped_at IS NULL AND lease_expires_at > now()
    ), open AS (
        -- A run with a reason waits for an earlier one of its job: that is its owner's wish, not a delay of ours.
        SELECT status, CASE WHEN status <> 'running' AND reason IS NULL AND due_at < now() THEN due_at END AS overdue
        FROM executions WHERE pool = :pool AND status IN ('queued', 'running', 'retrying')
    ), counted AS (
        SELECT count(overdue) AS overdue,
               coalesce(extract(epoch FROM now() - min(overdue)), 0)::float AS overdue_seconds,
               count(*) FILTER (WHERE status = 'running') AS running,
               count(*) FILTER (WHERE status = 'queued') AS queued,
               count(*) FILTER (WHERE status = 'retrying') AS retrying
        FROM open
    )
    SELECT (SELECT count(*) FROM live) AS live_workers,
           (SELECT extract(epoch FROM now() - max(heartbeat_at))::float FROM live) AS heartbeat_age_seconds,
           (SELECT coalesce(array_agg(DISTINCT warning), '{}') FROM live, unnest(live.warnings) AS warning) AS warnings,
           counted.*,
           (SELECT count(*) FROM prefect_reports) AS reports,
           (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float FROM prefect_reports)
               AS reports_seconds
    FROM counted
""")

_ENDED = text("""
    SELECT status, count(*) AS count FROM executions
    WHERE queued_at > now() - make_interval(hours => :hours) GROUP BY status
""")


class SqlHealthFigures:
    """Figures on the caller's connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def vitals(self, pool: str) -> Vitals:
        """All of them in one statement."""
        row = (await self._connection.execute(_VITALS, {"pool": pool})).one()
        return Vitals(**row._mapping)

    async def queued_lately(self, hours: int) -> dict[str, int]:
        """Through the index on ``queued_at``."""
        rows = await self._connection.execute(_ENDED, {"hours": hours})
        return dict(rows.tuples().all())
