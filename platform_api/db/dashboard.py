"""The dashboard's figures in SQL: a few index scans, whatever the length of the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import CTE, ColumnElement, Label, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.executions import SHOWN
from platform_api.db.schema import executions, jobs, teams, users
from platform_api.db.visibility import visible_to
from platform_api.domain.executions import UNSUCCESSFUL, ExecutionStatus
from platform_api.domain.jobs import JobStatus
from platform_api.ports.dashboard import DashboardFigures, FailedJob, JobRecord, Span
from rbac.permissions import Permission
from rbac.principal import Principal

#: More would be a list of its own: the dead letters.
MOST_FAILED_JOBS = 20

#: What says how a job fares; a skipped or cancelled run says nothing.
_VERDICTS = (ExecutionStatus.SUCCESS, *sorted(UNSUCCESSFUL))


WEEK = timedelta(days=7)
#: A chart of a week has four columns a day.
SPAN = timedelta(hours=6)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


class SqlDashboard:
    """See ``ports.dashboard.Dashboard``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def figures(
        self, principal: Principal, team: str | None, now: datetime, owner: str | None = None
    ) -> DashboardFigures:
        """Count."""
        seen = _seen(principal, team, owner)
        of_24h = await self._by_status(seen, SHOWN, executions.c.queued_at >= now - timedelta(hours=24))
        of_7d = await self._by_status(
            seen, executions.c.queued_at >= now - timedelta(days=7), executions.c.status.in_(_VERDICTS)
        )
        running = await self._by_status(seen, executions.c.status == ExecutionStatus.RUNNING)
        return DashboardFigures(
            jobs_by_status=await self._jobs(seen),
            executions_24h=of_24h,
            successes_7d=of_7d.get(ExecutionStatus.SUCCESS, 0),
            failures_7d=sum(of_7d.get(status, 0) for status in UNSUCCESSFUL),
            running_now=running.get(ExecutionStatus.RUNNING, 0),
            failed_jobs=await self._failed_jobs(seen),
        )

    async def trend(self, principal: Principal, team: str | None, owner: str | None, now: datetime) -> list[Span]:
        """Count by span."""
        run, seen = executions.c, _seen(principal, team, owner)
        span = func.date_bin(SPAN, run.queued_at, EPOCH).label("span")
        rows = await self._connection.execute(
            select(span, *_verdicts())
            .join_from(executions, seen, seen.c.id == run.job_id)
            .where(run.queued_at >= now - WEEK, run.status.in_(_VERDICTS))
            .group_by(span)
            .order_by(span)
        )
        return [Span(row.span, row.successes, row.failures) for row in rows]

    async def records(
        self, principal: Principal, team: str | None, owner: str | None, now: datetime
    ) -> list[JobRecord]:
        """Count and measure by job; the names come afterwards."""
        run, seen = executions.c, _seen(principal, team, owner)
        seconds = func.avg(func.extract("epoch", run.ended_at - run.started_at)).label("seconds")
        counted = (
            select(run.job_id, *_verdicts(), seconds)
            .where(run.queued_at >= now - WEEK, run.status.in_(_VERDICTS))
            .group_by(run.job_id)
            .subquery()
        )
        rows = await self._connection.execute(
            select(counted, seen.c.name).join_from(counted, seen, seen.c.id == counted.c.job_id)
        )
        return [
            JobRecord(r.job_id, r.name, r.successes, r.failures, None if r.seconds is None else float(r.seconds))
            for r in rows
        ]

    async def _jobs(self, seen: CTE) -> dict[str, int]:
        rows = await self._connection.execute(select(seen.c.status, func.count().label("jobs")).group_by(seen.c.status))
        return {row.status: row.jobs for row in rows}

    async def _by_status(self, seen: CTE, *conditions: ColumnElement[bool]) -> dict[str, int]:
        # Grouped by job first: joining a hundred sums to their jobs is cheaper than every execution to its job.
        counted = (
            select(executions.c.job_id, executions.c.status, func.count().label("executions"))
            .where(*conditions)
            .group_by(executions.c.job_id, executions.c.status)
            .subquery()
        )
        rows = await self._connection.execute(
            select(counted.c.status, func.sum(counted.c.executions))
            .join_from(counted, seen, seen.c.id == counted.c.job_id)
            .group_by(counted.c.status)
        )
        return {status: int(count) for status, count in rows}

    async def _failed_jobs(self, seen: CTE) -> list[FailedJob]:
        """The jobs whose newest verdict is bad and not dealt with."""
        newest = (
            select(executions)
            .where(executions.c.job_id == seen.c.id, executions.c.status.in_(_VERDICTS))
            .order_by(executions.c.queued_at.desc(), executions.c.id.desc())
            .limit(1)
            .lateral()
        )
        rows = await self._connection.execute(
            select(
                seen.c.id.label("job_id"),
                seen.c.name,
                newest.c.id,
                newest.c.status,
                newest.c.ended_at,
                newest.c.error_message,
            )
            .select_from(seen.join(newest, true()))
            .where(newest.c.status != ExecutionStatus.SUCCESS, newest.c.dealt_with_at.is_(None))
            .order_by(newest.c.ended_at.desc())
            .limit(MOST_FAILED_JOBS)
        )
        return [FailedJob(r.job_id, r.name, r.id, r.status, r.ended_at, r.error_message) for r in rows]


def _verdicts() -> tuple[Label[int], Label[int]]:
    good = executions.c.status == ExecutionStatus.SUCCESS
    return func.count().filter(good).label("successes"), func.count().filter(~good).label("failures")


def _seen(principal: Principal, team: str | None, owner: str | None) -> CTE:
    """The jobs that count for this caller."""
    query = select(jobs.c.id, jobs.c.name, jobs.c.status).where(
        visible_to(principal, Permission.DASHBOARD_VIEW), jobs.c.status != JobStatus.DELETED
    )
    if team is not None:
        query = query.where(jobs.c.team_id.in_(select(teams.c.id).where(teams.c.name == team)))
    if owner is not None:
        query = query.where(jobs.c.owner_id.in_(select(users.c.id).where(func.lower(users.c.email) == owner.lower())))
    return query.cte("seen")
