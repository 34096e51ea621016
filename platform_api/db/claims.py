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
from platform_api.ports.claims import Admission, AdoptedFlowRun, HeldRun, Proposal, ProposedJob

_ADMIT = text("""
    INSERT INTO executions (id, prefect_flow_run_id, job_id, job_version, pool, status, triggered_by, scheduled_for,
                            due_at, queued_at, ended_at, exclusive, priority, reason, worker_id)
    SELECT id, CASE WHEN :proposed THEN id END, job_id, version, :pool, status, triggered_by, scheduled_for,
           due_at, greatest(due_at, now()), CASE WHEN status = 'skipped' THEN now() END, exclusive, priority, reason,
           :worker_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:jobs AS uuid[]), CAST(:versions AS int[]), CAST(:statuses AS text[]),
                CAST(:triggers AS text[]), CAST(:ticks AS timestamptz[]), CAST(:dues AS timestamptz[]),
                CAST(:exclusives AS bool[]), CAST(:priorities AS int[]), CAST(:reasons AS text[]))
         AS a(id, job_id, version, status, triggered_by, scheduled_for, due_at, exclusive, priority, reason)
    -- In one order everywhere: two workers that write the same ticks must not wait for each other.
    ORDER BY job_id, scheduled_for
    ON CONFLICT DO NOTHING
    RETURNING id
""")

_KNOWN = text("""
    SELECT id FROM executions WHERE id = ANY(CAST(:ids AS uuid[]))
    UNION SELECT prefect_flow_run_id FROM executions WHERE prefect_flow_run_id = ANY(CAST(:ids AS uuid[]))
    UNION SELECT flow_run_id FROM prefect_reports WHERE flow_run_id = ANY(CAST(:ids AS uuid[]))
""")

# A creation that was never tried is not on its way to Prefect: the reporter counts its tries beforehand. A skipped
# tick has no creation; any other execution without one has its flow run, or will never have one.
_ADOPT = text("""
    WITH p AS (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:jobs AS uuid[]), CAST(:ticks AS timestamptz[]))
               AS p(id, job_id, tick)),
    spared AS (
        DELETE FROM prefect_reports r USING executions e, p
        WHERE e.job_id = p.job_id AND e.scheduled_for = p.tick AND e.prefect_flow_run_id IS NULL
          AND r.execution_id = e.id AND r.kind = 'create' AND r.tries = 0
        RETURNING e.id)
    UPDATE executions e SET prefect_flow_run_id = p.id
    FROM p WHERE e.job_id = p.job_id AND e.scheduled_for = p.tick AND e.prefect_flow_run_id IS NULL
      AND (e.status = 'skipped' OR e.id IN (SELECT id FROM spared))
    RETURNING p.id AS flow_run_id, e.id AS execution_id, e.status, e.reason
""")

_TICKS_TAKEN = text("""
    SELECT e.job_id, e.scheduled_for
    FROM unnest(CAST(:jobs AS uuid[]), CAST(:ticks AS timestamptz[])) AS t(job_id, tick)
    JOIN executions e ON e.job_id = t.job_id AND e.scheduled_for = t.tick
""")

_HELD_COLUMNS = """
    e.id, e.job_id, j.status AS job_status, e.job_version AS version, coalesce(v.spec, j.spec) AS spec,
    CASE WHEN j.version <> e.job_version THEN j.version END AS newer_version,
    CASE WHEN j.version <> e.job_version THEN j.spec END AS newer,
    e.status, e.attempt, e.triggered_by, e.scheduled_for, e.due_at, e.queued_at, e.priority, e.overrides, e.reason,
    e.prefect_flow_run_id AS flow_run_id
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

    async def admit(
        self, worker_id: UUID, pool: str, admissions: Sequence[Admission], *, proposed: bool = True
    ) -> set[UUID]:
        """Insert what has no row for its tick yet."""
        parameters = {
            "proposed": proposed,
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

    async def adopt(self, proposals: Sequence[Proposal]) -> list[AdoptedFlowRun]:
        """Link flow runs to executions, in place of the creation of others."""
        parameters = {
            "ids": [proposal.flow_run_id for proposal in proposals],
            "jobs": [proposal.job_id for proposal in proposals],
            "ticks": [proposal.scheduled_for for proposal in proposals],
        }
        rows = await self._connection.execute(_ADOPT, parameters)
        return [
            AdoptedFlowRun(row.flow_run_id, row.execution_id, ExecutionStatus(row.status), row.reason) for row in rows
        ]

    async def ticks_taken(self, ticks: Sequence[tuple[UUID, datetime]]) -> set[tuple[UUID, datetime]]:
        """Look the ticks up through their unique index."""
        parameters = {"jobs": [job_id for job_id, _ in ticks], "ticks": [tick for _, tick in ticks]}
        rows = await self._connection.execute(_TICKS_TAKEN, parameters)
        return {(row.job_id, row.scheduled_for) for row in rows}

    async def caught_up(self, ids: Sequence[UUID]) -> None:
        """Change what triggered them."""
        await self._connection.execute(
            text("UPDATE executions SET triggered_by = 'catch_up' WHERE id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": list(ids)},
        )

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
