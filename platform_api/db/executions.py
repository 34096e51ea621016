"""Executions as people see them, in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Row, Select, func, literal, or_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import attempts, executions, jobs, teams, users
from platform_api.db.visibility import visible_to
from platform_api.domain.executions import UNSUCCESSFUL, ExecutionStatus, TriggeredBy
from platform_api.ports.executions import Attempt, Execution, ExecutionFilter, Place
from rbac.permissions import Permission
from rbac.principal import Principal
from rbac.roles import Reach, granted

_COPIED = (
    "id",
    "job_id",
    "job_version",
    "pool",
    "scheduled_for",
    "queued_at",
    "started_at",
    "ended_at",
    "exit_code",
    "error_message",
    "reason",
    "result",
    "revision",
    "worker",
    "prefect_flow_run_id",
    "retry_of",
    "overrides",
    "cancel_requested_at",
    "dealt_with_at",
)

#: A run that is claimed ahead of its tick is the worker's business until the tick has come.
SHOWN = or_(executions.c.status != ExecutionStatus.QUEUED, executions.c.due_at <= func.now())


def with_job(row: FromClause) -> Select[Any]:
    """Select what ``execution_of`` reads: rows of ``executions`` (or a subquery of them), with their job."""
    return select(
        row,
        jobs.c.name.label("job_name"),
        jobs.c.owner_id,
        jobs.c.team_id,
        jobs.c.status.label("job_status"),
        users.c.email.label("triggered_by_user"),
    ).select_from(row.join(jobs, jobs.c.id == row.c.job_id).outerjoin(users, users.c.id == row.c.triggered_by_user_id))


def execution_of(row: Row[Any]) -> Execution:
    """The execution in a row of ``with_job``."""
    return Execution(
        job_name=row.job_name,
        job_is_deleted=row.job_status == "deleted",
        owner_id=row.owner_id,
        team_id=row.team_id,
        status=ExecutionStatus(row.status),
        triggered_by=TriggeredBy(row.triggered_by),
        triggered_by_user=row.triggered_by_user,
        **{name: getattr(row, name) for name in _COPIED},
    )


class SqlExecutions:
    """See ``ports.executions.Executions``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, execution_id: UUID, *, for_update: bool = False) -> Execution | None:
        """Read one."""
        query = with_job(executions).where(executions.c.id == execution_id)
        if for_update:
            query = query.with_for_update(of=executions, key_share=True)
        row = (await self._connection.execute(query)).one_or_none()
        return execution_of(row) if row else None

    async def attempts(self, execution_ids: Sequence[UUID]) -> dict[UUID, list[Attempt]]:
        """Read the attempts of all of them at once."""
        rows = await self._connection.execute(
            select(attempts)
            .where(attempts.c.execution_id.in_(execution_ids))
            .order_by(attempts.c.execution_id, attempts.c.attempt)
        )
        found: defaultdict[UUID, list[Attempt]] = defaultdict(list)
        for row in rows:
            found[row.execution_id].append(_attempt(row))
        return found

    async def page(
        self, principal: Principal, wanted: ExecutionFilter, behind: Place | None, limit: int
    ) -> list[Execution]:
        """Walk the index of all executions, or that of each job where only some jobs' are wanted."""
        newest = (
            select(executions)
            .where(SHOWN, *_conditions(wanted, behind))
            .order_by(executions.c.queued_at.desc(), executions.c.id.desc())
            .limit(limit)
        )
        if not _is_narrowed(principal, wanted):
            found = newest.subquery()
        else:
            wanted_jobs = _jobs(principal, wanted).subquery()
            of_job = newest.where(executions.c.job_id == wanted_jobs.c.id).lateral()
            found = select(of_job).select_from(wanted_jobs.join(of_job, true())).subquery()
        query = with_job(found).order_by(found.c.queued_at.desc(), found.c.id.desc()).limit(limit)
        return [execution_of(row) for row in await self._connection.execute(query)]

    async def cancel_waiting(self, execution_id: UUID, by: str, now: datetime) -> bool:
        """Compare and swap: only what waits is ended here."""
        done = await self._connection.execute(
            update(executions)
            .where(executions.c.id == execution_id)
            .where(executions.c.status.in_([ExecutionStatus.QUEUED, ExecutionStatus.RETRYING]))
            .values(
                status=ExecutionStatus.CANCELLED,
                reason=f"Cancelled by {by}",
                ended_at=now,
                cancel_requested_at=now,
                cancel_requested_by=by,
            )
        )
        return done.rowcount == 1

    async def request_cancel(self, execution_id: UUID, by: str, now: datetime) -> None:
        """Leave the request for the worker."""
        await self._connection.execute(
            update(executions)
            .where(executions.c.id == execution_id, executions.c.status == ExecutionStatus.RUNNING)
            .where(executions.c.cancel_requested_at.is_(None))
            .values(cancel_requested_at=now, cancel_requested_by=by)
        )

    async def deal_with(self, execution_id: UUID, by: UUID, now: datetime) -> bool:
        """Compare and swap: of two who deal with it, one did."""
        done = await self._connection.execute(
            update(executions)
            .where(executions.c.id == execution_id, executions.c.dealt_with_at.is_(None))
            .where(executions.c.status.in_(UNSUCCESSFUL))
            .values(dealt_with_at=now, dealt_with_by=by)
        )
        return done.rowcount == 1


def _is_narrowed(principal: Principal, wanted: ExecutionFilter) -> bool:
    everything = Reach.ALL in granted(principal, Permission.EXECUTION_LIST)
    return not everything or any(value is not None for value in (wanted.job_id, wanted.owner, wanted.team))


def _jobs(principal: Principal, wanted: ExecutionFilter) -> Select[tuple[UUID]]:
    """The jobs whose executions are wanted, deleted ones too: their history stays."""
    query = select(jobs.c.id).where(visible_to(principal, Permission.EXECUTION_LIST))
    if wanted.job_id is not None:
        query = query.where(jobs.c.id == wanted.job_id)
    if wanted.owner is not None:
        owners = select(users.c.id).where(func.lower(users.c.email) == wanted.owner.lower())
        query = query.where(jobs.c.owner_id.in_(owners))
    if wanted.team is not None:
        query = query.where(jobs.c.team_id.in_(select(teams.c.id).where(teams.c.name == wanted.team)))
    return query


def _conditions(wanted: ExecutionFilter, behind: Place | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses:
        conditions.append(executions.c.status.in_(wanted.statuses))
    if wanted.triggered_by:
        conditions.append(executions.c.triggered_by.in_(wanted.triggered_by))
    if wanted.since is not None:
        conditions.append(executions.c.queued_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(executions.c.queued_at < wanted.until)
    if behind is not None:
        conditions.append(
            tuple_(executions.c.queued_at, executions.c.id) < tuple_(literal(behind.moment), literal(behind.id))
        )
    return conditions


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        execution_id=row.execution_id,
        attempt=row.attempt,
        status=ExecutionStatus(row.status),
        started_at=row.started_at,
        ended_at=row.ended_at,
        exit_code=row.exit_code,
        error_message=row.error_message,
        next_attempt_at=row.next_attempt_at,
    )
