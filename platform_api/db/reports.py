"""The queue of what Prefect is to be told, in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_api.ports.reports import Backlog, PendingReport, PrefectState, Report, ReportKind

#: Names the advisory lock that the reporting process holds for as long as its connection lives.
REPORTER_LOCK = 0x6A6F6272

_ADD = text("""
    INSERT INTO prefect_reports (execution_id, flow_run_id, kind, state_type, state_name, message, scheduled_time)
    SELECT execution_id, flow_run_id, kind, state_type, state_name, message, scheduled_time
    FROM unnest(CAST(:executions AS uuid[]), CAST(:flow_runs AS uuid[]), CAST(:kinds AS text[]),
                CAST(:types AS text[]), CAST(:names AS text[]), CAST(:messages AS text[]),
                CAST(:times AS timestamptz[])) WITH ORDINALITY
         AS r(execution_id, flow_run_id, kind, state_type, state_name, message, scheduled_time, place)
    ORDER BY place
    ON CONFLICT (flow_run_id) DO NOTHING
""")

# The subquery finds each execution's first report through its index; the join then reads those rows only.
_NEXT = text("""
    SELECT r.*, coalesce(e.prefect_flow_run_id, r.flow_run_id) AS run_id, j.prefect_deployment_id
    FROM (SELECT min(id) AS id FROM prefect_reports GROUP BY coalesce(execution_id, flow_run_id)) first
    JOIN prefect_reports r ON r.id = first.id
    LEFT JOIN executions e ON e.id = r.execution_id
    LEFT JOIN jobs j ON j.id = e.job_id
    -- What waits for its job's deployment must not keep others out of the round.
    WHERE r.kind <> 'create' OR j.prefect_deployment_id IS NOT NULL
    ORDER BY r.id
    LIMIT :limit
""")

_SKIP_SUPERSEDED = text("""
    DELETE FROM prefect_reports p
    WHERE p.kind = 'state' AND p.state_type = 'PENDING'
      AND EXISTS (SELECT 1 FROM prefect_reports later
                  WHERE later.execution_id = p.execution_id AND later.id > p.id AND later.kind = 'state')
""")


class SqlReports:
    """See ``ports.reports.Reports``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, reports: Sequence[Report]) -> None:
        """Insert them in one statement."""
        if not reports:
            return
        states = [report.state for report in reports]
        await self._connection.execute(
            _ADD,
            {
                "executions": [report.execution_id for report in reports],
                "flow_runs": [report.flow_run_id for report in reports],
                "kinds": [report.kind.value for report in reports],
                "types": [state.type if state else None for state in states],
                "names": [state.name if state else None for state in states],
                "messages": [state.message if state else None for state in states],
                "times": [state.scheduled_time if state else None for state in states],
            },
        )

    async def next(self, limit: int) -> list[PendingReport]:
        """Read the first report of each execution."""
        rows = await self._connection.execute(_NEXT, {"limit": limit})
        return [_pending(row) for row in rows.mappings()]

    async def count_try(self, ids: Sequence[int], error: str | None = None) -> None:
        """Count an attempt to send; an error is noted without counting again."""
        await self._connection.execute(
            text("""
                UPDATE prefect_reports SET last_error = :error,
                    tries = tries + CASE WHEN CAST(:error AS text) IS NULL THEN 1 ELSE 0 END
                WHERE id = ANY(CAST(:ids AS bigint[]))
            """),
            {"ids": list(ids), "error": error},
        )

    async def done(self, ids: Sequence[int]) -> None:
        """Delete them."""
        await self._connection.execute(
            text("DELETE FROM prefect_reports WHERE id = ANY(CAST(:ids AS bigint[]))"), {"ids": list(ids)}
        )

    async def created(self, execution_id: UUID, flow_run_id: UUID) -> None:
        """Store the flow run's id with its execution."""
        await self._connection.execute(
            text("UPDATE executions SET prefect_flow_run_id = :flow_run_id WHERE id = :id"),
            {"id": execution_id, "flow_run_id": flow_run_id},
        )

    async def skip_superseded(self) -> int:
        """Delete needless PENDING reports."""
        return (await self._connection.execute(_SKIP_SUPERSEDED)).rowcount

    async def backlog(self) -> Backlog:
        """Count what waits."""
        row = (await self._connection.execute(text("SELECT count(*), min(created_at) FROM prefect_reports"))).one()
        return Backlog(row[0], row[1])


def _pending(row: Any) -> PendingReport:
    state = None
    if row["state_type"]:
        state = PrefectState(row["state_type"], row["state_name"], row["message"], row["scheduled_time"])
    return PendingReport(
        id=row["id"],
        kind=ReportKind(row["kind"]),
        execution_id=row["execution_id"],
        flow_run_id=row["run_id"],
        deployment_id=row["prefect_deployment_id"],
        state=state,
        tries=row["tries"],
    )


class SqlLeadership:
    """An advisory lock on a connection of its own: whoever dies gives it up with the connection."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[Callable[[], Awaitable[None]] | None]:
        """Take the lock if it is free."""
        async with self._engine.connect() as raw:
            connection = await raw.execution_options(isolation_level="AUTOCOMMIT")
            taken = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": REPORTER_LOCK})
            if not taken:
                yield None
                return

            async def ensure() -> None:
                await connection.execute(text("SELECT 1"))

            try:
                yield ensure
            finally:
                # A pooled connection would keep the lock; closing it for good gives it back in every case.
                await connection.invalidate()
