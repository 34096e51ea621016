"""Jobs in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import chain, count
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import LateralFromClause

from platform_api.db.schema import agenda, executions, job_versions, jobs, teams, users
from platform_api.db.visibility import visible_to
from platform_api.domain.errors import Conflict, InvalidContent
from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.job_records import Job, LastExecution
from platform_api.domain.jobs import JobSpec, JobStatus, JobType
from platform_api.ports.jobs import JobChoices, JobFilter, JobSort, NewJob
from rbac.principal import Principal

_SORT_KEYS: dict[str, ColumnElement[Any]] = {
    "name": func.lower(jobs.c.name),
    "created_at": jobs.c.created_at,
    "updated_at": jobs.c.updated_at,
}

_TIME_FIELDS = ("schedule", "run_at", "interval_seconds", "timezone")

#: That a list's filter offers; the rest is found by typing.
_MOST_TAGS = 50


class SqlJobs:
    """``ports.jobs.Jobs`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, job_id: UUID, *, lock: bool = False) -> Job | None:
        """The job, deleted ones too; with ``lock`` nobody else changes it until the transaction ends."""
        query = _job_query(_last_execution()).where(jobs.c.id == job_id)
        if lock:
            query = query.with_for_update(of=jobs, key_share=True)
        row = (await self._connection.execute(query)).one_or_none()
        return _job(row) if row else None

    async def page(
        self, principal: Principal, wanted: JobFilter, sort: JobSort, after: list[Any] | None, limit: int
    ) -> list[Job]:
        """The jobs that the principal may see, in order, behind the place ``after`` (sort key, id)."""
        last = _last_execution()
        key = _SORT_KEYS[sort.key]
        order = (key.desc(), jobs.c.id.desc()) if sort.is_descending else (key, jobs.c.id)
        chosen = _chosen(last if wanted.last_status else None)
        chosen = chosen.where(visible_to(principal), *_conditions(wanted, principal, last))
        if after is not None:
            chosen = chosen.where(_behind(key, sort, after))
        # The page is chosen first, so that last executions are looked up for its jobs only.
        page = _job_query(last).where(jobs.c.id.in_(chosen.order_by(*order).limit(limit))).order_by(*order)
        return [_job(row) for row in await self._connection.execute(page)]

    async def count(self, principal: Principal, wanted: JobFilter) -> int:
        """Count what ``page`` would show in all."""
        last = _last_execution()
        chosen = _chosen(last if wanted.last_status else None)
        chosen = chosen.where(visible_to(principal), *_conditions(wanted, principal, last))
        return int((await self._connection.execute(select(func.count()).select_from(chosen.subquery()))).scalar_one())

    async def choices(self, principal: Principal) -> JobChoices:
        """Collect what filters can offer."""
        seen = select(jobs.c.team_id, jobs.c.owner_id, jobs.c.tags).where(
            visible_to(principal), jobs.c.status != JobStatus.DELETED.value
        )
        rows = seen.cte("seen")
        team_names = select(teams.c.name).where(teams.c.id.in_(select(rows.c.team_id))).order_by(teams.c.name)
        emails = select(users.c.email).where(users.c.id.in_(select(rows.c.owner_id))).order_by(users.c.email)
        tag = func.unnest(rows.c.tags).label("tag")
        counted = select(tag, func.count().label("jobs")).group_by(tag).order_by(func.count().desc(), tag)
        return JobChoices(
            teams=list((await self._connection.execute(team_names)).scalars()),
            owners=list((await self._connection.execute(emails)).scalars()),
            tags=sorted((await self._connection.execute(counted.limit(_MOST_TAGS))).scalars()),
        )

    async def schedules(self, principal: Principal, wanted: JobFilter) -> list[tuple[JobSpec, int]]:
        """Group what the specs say about time."""
        fields = [
            jobs.c.spec[name].astext.label(name) for name in ("schedule", "run_at", "interval_seconds", "timezone")
        ]
        query = (
            select(*fields, func.count().label("jobs"))
            .select_from(_OWNED)
            .where(visible_to(principal), *_conditions(wanted, principal, _last_execution()))
            .group_by(*fields)
        )
        return [(_schedule_only(row), row.jobs) for row in await self._connection.execute(query)]

    async def count_of_team(self, team_id: UUID) -> int:
        """Count behind a lock on the team, so that two additions at once cannot both be the last that fits."""
        await self._connection.execute(select(teams.c.id).where(teams.c.id == team_id).with_for_update(key_share=True))
        query = select(func.count()).where(jobs.c.team_id == team_id, jobs.c.status != JobStatus.DELETED.value)
        return int((await self._connection.execute(query)).scalar_one())

    async def free_name(self, team_id: UUID, wanted: str) -> str:
        """``wanted``, or with the first number behind it that makes it free in the team."""
        query = select(func.lower(jobs.c.name)).where(
            jobs.c.team_id == team_id,
            jobs.c.status != JobStatus.DELETED.value,
            jobs.c.name.istartswith(wanted, autoescape=True),
        )
        taken = set((await self._connection.execute(query)).scalars())
        numbered = (f"{wanted} {number}" for number in count(2))
        return next(name for name in chain([wanted], numbered) if name.lower() not in taken)

    async def add(self, new: NewJob, author_id: UUID) -> Job:
        """Store a job and its first version."""
        values = {"id": new.id, "team_id": new.team_id, "owner_id": new.owner_id, "version": 1}
        async with _unique_name(new.spec.name):
            await self._connection.execute(insert(jobs).values(**values, **_columns(new.spec), status=new.status.value))
        await self._add_version(new.id, 1, new.spec, author_id, new.change)
        await self._follow_anew(new.id)
        return await self._present(new.id)

    async def save(self, job: Job, spec: JobSpec, status: JobStatus, author_id: UUID, change: str) -> Job:
        """Store a further version of a locked job."""
        version = job.version + 1
        moved = _schedule_of(spec) != _schedule_of(job.spec) or (status, job.status) == _REVIVED
        await self._write(job, moved, _columns(spec) | {"status": status.value, "version": version})
        await self._add_version(job.id, version, spec, author_id, change)
        return await self._present(job.id)

    async def of_owner(self, owner_id: UUID) -> list[Job]:
        """Lock them in the order of their ids."""
        theirs = (jobs.c.owner_id == owner_id, jobs.c.status != JobStatus.DELETED.value)
        query = _job_query(_last_execution()).where(*theirs).order_by(jobs.c.id)
        rows = await self._connection.execute(query.with_for_update(of=jobs, key_share=True))
        return [_job(row) for row in rows]

    async def hand_over(self, job: Job, owner_id: UUID, team_id: UUID) -> Job:
        """Change whose it is."""
        await self._write(job, False, {"owner_id": owner_id, "team_id": team_id})
        return await self._present(job.id)

    async def set_status(self, job: Job, status: JobStatus) -> Job:
        """Change the status of a locked job; no version is made."""
        deleted_at = func.now() if status is JobStatus.DELETED else None
        moved = (status, job.status) == _REVIVED
        await self._write(job, moved, {"status": status.value, "deleted_at": deleted_at})
        return await self._present(job.id)

    async def _write(self, job: Job, moved: bool, values: dict[str, Any]) -> None:
        changed = {"generation": jobs.c.generation + 1, "sync_error": None, "updated_at": func.now()}
        if moved:
            changed["scheduled_since"] = func.now()
        async with _unique_name(values.get("name", job.name)):
            await self._connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values, **changed))
        if moved:
            await self._follow_anew(job.id)

    async def _follow_anew(self, job_id: UUID) -> None:
        """Have the worker look at the job's ticks from ``scheduled_since`` on (decision 0012)."""
        entry = postgresql.insert(agenda).values(job_id=job_id)
        # In an insert, EXCLUDED has the column's default: minus infinity.
        anew = entry.on_conflict_do_update(
            index_elements=["job_id"], set_={"next_tick_at": entry.excluded.next_tick_at}
        )
        await self._connection.execute(anew)

    async def _add_version(self, job_id: UUID, version: int, spec: JobSpec, author_id: UUID, change: str) -> None:
        await self._connection.execute(
            insert(job_versions).values(
                job_id=job_id, version=version, spec=spec.to_json(), author_id=author_id, change=change
            )
        )

    async def _present(self, job_id: UUID) -> Job:
        job = await self.get(job_id)
        assert job is not None  # noqa: S101 - this transaction has just written it
        return job


#: A disabled job that is enabled again follows its schedule from now on: ticks in between are nobody's.
_REVIVED = (JobStatus.ACTIVE, JobStatus.DISABLED)


def _columns(spec: JobSpec) -> dict[str, Any]:
    return {"name": spec.name, "type": spec.type.value, "tags": list(spec.tags), "spec": spec.to_json()}


def _schedule_only(row: Row[Any]) -> JobSpec:
    return JobSpec(
        name="",
        type=JobType.SHELL,
        schedule=row.schedule,
        run_at=datetime.fromisoformat(row.run_at) if row.run_at else None,
        interval_seconds=int(row.interval_seconds) if row.interval_seconds else None,
        timezone=row.timezone,
    )


def _schedule_of(spec: JobSpec) -> tuple[object, ...]:
    return spec.schedule, spec.run_at, spec.interval_seconds, spec.timezone


@asynccontextmanager
async def _unique_name(name: str) -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation) and error.orig.diag.constraint_name == "uq_jobs_team_id_name":
            raise Conflict(f"The team has a job named “{name}” already; choose another name.") from error
        raise


def _last_execution() -> LateralFromClause:
    """The newest execution of each job; what is only claimed ahead of its time is nobody's news yet."""
    run = executions.c
    ahead = and_(run.status == ExecutionStatus.QUEUED.value, run.scheduled_for > func.now())
    return (
        select(run.id, run.status, run.queued_at, run.started_at, run.ended_at)
        .where(run.job_id == jobs.c.id, ~func.coalesce(ahead, False))
        .order_by(run.queued_at.desc(), run.id.desc())
        .limit(1)
        .lateral("last")
    )


_OWNED = jobs.join(users, jobs.c.owner_id == users.c.id).join(teams, jobs.c.team_id == teams.c.id)


def _chosen(last: LateralFromClause | None) -> Select[Any]:
    """The ids of jobs, with all that conditions may ask about."""
    return select(jobs.c.id).select_from(_OWNED if last is None else _OWNED.outerjoin(last, true()))


def _job_query(last: LateralFromClause) -> Select[Any]:
    return select(
        jobs,
        users.c.email.label("owner"),
        teams.c.name.label("team"),
        last.c.id.label("last_id"),
        last.c.status.label("last_status"),
        last.c.queued_at.label("last_queued_at"),
        last.c.started_at.label("last_started_at"),
        last.c.ended_at.label("last_ended_at"),
    ).select_from(_OWNED.outerjoin(last, true()))


def _conditions(wanted: JobFilter, principal: Principal, last: LateralFromClause) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        jobs.c.status == wanted.status if wanted.status else jobs.c.status != JobStatus.DELETED.value
    ]
    if wanted.type is not None:
        conditions.append(jobs.c.type == wanted.type)
    if wanted.owner == "me":
        conditions.append(jobs.c.owner_id == principal.user_id)
    elif wanted.owner is not None:
        conditions.append(func.lower(users.c.email) == wanted.owner.lower())
    if wanted.team is not None:
        conditions.append(teams.c.name == wanted.team)
    if wanted.tags:
        conditions.append(jobs.c.tags.contains(list(wanted.tags)))
    if wanted.q is not None:
        conditions.append(_mentions(wanted.q))
    if wanted.last_status is not None:
        conditions.append(last.c.status == wanted.last_status)
    return conditions


def _mentions(words: str) -> ColumnElement[bool]:
    """Whether the name, the description or a tag contains the words, in any case."""
    return or_(
        jobs.c.name.icontains(words, autoescape=True),
        jobs.c.spec["description"].astext.icontains(words, autoescape=True),
        func.array_to_string(jobs.c.tags, "\n").icontains(words, autoescape=True),
    )


def _behind(key: ColumnElement[Any], sort: JobSort, after: list[Any]) -> ColumnElement[bool]:
    try:
        key_there = func.lower(str(after[0])) if sort.key == "name" else literal(datetime.fromisoformat(after[0]))
        job_id = UUID(after[1])
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page") from error
    here, there = tuple_(key, jobs.c.id), tuple_(key_there, literal(job_id))
    return here < there if sort.is_descending else here > there


def _job(row: Row[Any]) -> Job:
    last = None
    if row.last_id is not None:
        last = LastExecution(
            row.last_id,
            ExecutionStatus(row.last_status),
            row.last_queued_at,
            row.last_started_at,
            row.last_ended_at,
        )
    return Job(
        id=row.id,
        spec=JobSpec.from_json(row.spec),
        status=JobStatus(row.status),
        version=row.version,
        generation=row.generation,
        synced_generation=row.synced_generation,
        sync_error=row.sync_error,
        owner_id=row.owner_id,
        owner=row.owner,
        team_id=row.team_id,
        team=row.team,
        prefect_deployment_id=row.prefect_deployment_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        scheduled_since=row.scheduled_since,
        last_execution=last,
    )
