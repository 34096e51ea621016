"""Claims in SQL: every change of hands is one compare-and-swap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.domain.jobs import JobSpec, JobStatus
from platform_api.ports.claims import Admission, HeldRun, ProposedJob

_ADMIT = text("""
    INSERT INTO executions (id, prefect_flow_run_id, job_id, job_version, pool, status, triggered_by, scheduled_for,
                            due_at, queued_at, ended_at, exclusive, priority, reason, worker_id)
    SELECT id, id, job_id, version, :pool, status, triggered_by, scheduled_for,
           due_at, greatest(due_at, now()), CASE WHEN status = 'skipped' THEN now() END, exclusive, priority, reason,
           :worker_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:jobs AS uuid[]), CAST(:versions AS int[]), CAST(:statuses AS text[]),
                CAST(:triggers AS text[]), CAST(:ticks AS timestamptz[]), CAST(:dues AS timestamptz[]),
                CAST(:exclusives AS bool[]), CAST(:priorities AS int[]), CAST(:reasons AS text[]))
         AS a(id, job_id, version, status, triggered_by, scheduled_for, due_at, exclusive, priority, reason)
    ON CONFLICT DO NOTHING
    RETURNING id
""")

_KNOWN = text("""
    SELECT id FROM executions WHERE id = ANY(CAST(:ids AS uuid[]))
    UNION SELECT prefect_flow_run_id FROM executions WHERE prefect_flow_run_id = ANY(CAST(:ids AS uuid[]))
    UNION SELECT flow_run_id FROM prefect_reports WHERE flow_run_id = ANY(CAST(:ids AS uuid[]))
""")

_HELD_COLUMNS = """
    e.id, e.job_id, j.status AS job_status, e.job_version AS version, coalesce(v.spec, j.spec) AS spec,
    CASE WHEN j.version <> e.job_version THEN j.version END AS newer_version,
    CASE WHEN j.version <> e.job_version THEN j.spec END AS newer,
    e.status, e.attempt, e.triggered_by, e.scheduled_for, e.due_at, e.queued_at, e.priority, e.overrides
"""

_HELD_JOINS = """
    JOIN jobs j ON j.id = e.job_id
    LEFT JOIN job_versions v ON v.job_id = e.job_id AND v.version = e.job_version
"""


def _taking(wanted: str) -> TextClause:
    """Hand the wanted rows to a worker; rows that another is taking at this moment are left to it."""
    return text(f"""
        WITH e AS (
            UPDATE executions SET worker_id = :worker_id
            WHERE id IN (SELECT id FROM executions WHERE {wanted} FOR UPDATE SKIP LOCKED)
            RETURNING *)
        SELECT {_HELD_COLUMNS} FROM e {_HELD_JOINS}
    """)  # noqa: S608 - the pieces are constants of this file


_TAKE = _taking("""
    pool = :pool AND status IN ('queued', 'retrying') AND due_at <= :until
    AND (worker_id IS NULL OR (worker_id = :worker_id AND id <> ALL(CAST(:known AS uuid[]))))
    ORDER BY due_at, priority LIMIT :limit
""")
_TAKE_RUNNING = _taking("worker_id = ANY(CAST(:dead AS uuid[])) AND status = 'running'")
_TAKE_WAITING = _taking("worker_id = ANY(CAST(:dead AS uuid[])) AND status IN ('queued', 'retrying')")

_READ = text(f"""
    SELECT {_HELD_COLUMNS} FROM executions e {_HELD_JOINS}
    WHERE e.id = ANY(CAST(:ids AS uuid[])) AND e.worker_id = :worker_id AND e.status IN ('queued', 'retrying')
    ORDER BY e.due_at, e.priority, e.queued_at, e.id
    FOR UPDATE OF e
""")  # noqa: S608 - the pieces are constants of this file


class SqlClaims:
    """See ``ports.claims.Claims``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def jobs(self, ids: Sequence[UUID]) -> dict[UUID, ProposedJob]:
        """Read the jobs of some proposals."""
        query = text("SELECT id, status, version, spec, scheduled_since FROM jobs WHERE id = ANY(CAST(:ids AS uuid[]))")
        rows = await self._connection.execute(query, {"ids": list(set(ids))})
        return {
            row.id: ProposedJob(
                row.id, JobStatus(row.status), row.version, JobSpec.from_json(row.spec), row.scheduled_since
            )
            for row in rows
        }

    async def known(self, flow_run_ids: Sequence[UUID]) -> set[UUID]:
        """Find flow runs that have come before."""
        return set(await self._connection.scalars(_KNOWN, {"ids": list(flow_run_ids)}))

    async def admit(self, worker_id: UUID, pool: str, admissions: Sequence[Admission]) -> set[UUID]:
        """Insert what has no row for its tick yet."""
        parameters = {
            "worker_id": worker_id,
            "pool": pool,
            "ids": [a.id for a in admissions],
            "jobs": [a.job_id for a in admissions],
            "versions": [a.job_version for a in admissions],
            "statuses": [a.status.value for a in admissions],
            "triggers": [a.triggered_by.value for a in admissions],
            "ticks": [a.scheduled_for for a in admissions],
            "dues": [a.due_at for a in admissions],
            "exclusives": [a.exclusive for a in admissions],
            "priorities": [a.priority for a in admissions],
            "reasons": [a.reason for a in admissions],
        }
        return set(await self._connection.scalars(_ADMIT, parameters))

    async def take(
        self, worker_id: UUID, pool: str, until: datetime, limit: int, known: Sequence[UUID]
    ) -> list[HeldRun]:
        """Take runs that nobody holds, or that a failed commit made ours without a word."""
        parameters = {"worker_id": worker_id, "pool": pool, "until": until, "limit": limit, "known": list(known)}
        return await self._held(_TAKE, parameters)

    async def take_over(self, worker_id: UUID, dead: Sequence[UUID], *, running: bool) -> list[HeldRun]:
        """Take what dead workers held."""
        statement = _TAKE_RUNNING if running else _TAKE_WAITING
        return await self._held(statement, {"worker_id": worker_id, "dead": list(dead)})

    async def release(self, worker_id: UUID) -> None:
        """Hold nothing that has not started."""
        await self._connection.execute(
            text(
                "UPDATE executions SET worker_id = NULL "
                "WHERE worker_id = :worker_id AND status IN ('queued', 'retrying')"
            ),
            {"worker_id": worker_id},
        )

    async def read(self, worker_id: UUID, ids: Sequence[UUID]) -> list[HeldRun]:
        """Read and lock runs that are to start now."""
        return await self._held(_READ, {"worker_id": worker_id, "ids": list(ids)})

    async def _held(self, statement: TextClause, parameters: dict[str, Any]) -> list[HeldRun]:
        rows = await self._connection.execute(statement, parameters)
        return [_held_run(row) for row in rows.mappings()]


def _held_run(row: Any) -> HeldRun:
    values = dict(row)
    values["job_status"] = JobStatus(values["job_status"])
    values["status"] = ExecutionStatus(values["status"])
    values["triggered_by"] = TriggeredBy(values["triggered_by"])
    values["spec"] = JobSpec.from_json(values["spec"])
    values["newer"] = JobSpec.from_json(values["newer"]) if values["newer"] else None
    return HeldRun(**values)
