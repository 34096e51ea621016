"""Jobs: create, look, change, switch on and off, clone, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.job_records import Job
from platform_api.domain.job_rules import LONGEST_NAME
from platform_api.domain.jobs import JobSpec, JobStatus
from platform_api.ports.jobs import JobChoices, JobFilter, JobSort, NewJob
from platform_api.ports.signals import Channel
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, remember, require
from platform_api.use_cases.job_access import load_job, subject_of
from platform_api.use_cases.job_checks import check, check_match, check_quota
from platform_api.use_cases.job_secrets import secret_faults, secret_faults_for
from platform_api.use_cases.ownership import Wish, hand_over
from platform_api.use_cases.services import Services
from platform_api.use_cases.sync import sync_job
from platform_api.use_cases.trail import record
from rbac.permissions import Permission

#: How long an answer waits for Prefect to follow; after that the reconciler goes on and the answer says so.
PREFECT_MAY_TAKE_SECONDS = 2

COPY = " (copy)"


@dataclass(frozen=True, slots=True)
class JobView:
    """A job and when it runs next."""

    job: Job
    next_execution: datetime | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a draft would do."""

    next_executions: list[datetime]
    description: str | None


def view(services: Services, job: Job) -> JobView:
    """The job with its next tick; a disabled one has none."""
    upcoming = next_ticks(services, job.spec, 1) if job.status is JobStatus.ACTIVE else []
    return JobView(job, upcoming[0] if upcoming else None)


def next_ticks(services: Services, spec: JobSpec, count: int) -> list[datetime]:
    """The coming ticks of a schedule."""
    return list(islice(services.ticks.after(spec, services.clock.now()), count))


def facts(job: Job) -> dict[str, Any]:
    """What the audit trail compares."""
    return {**job.spec.to_json(), "status": job.status.value}


async def create(services: Services, caller: Caller, draft: JobDraft) -> JobView:
    """Store a new job of the caller's; Prefect follows."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.JOB_CREATE, Subject("job", None, draft.spec.name))
        check(services, draft, found=await secret_faults_for(uow, draft.spec, caller))
        job = await _add(uow, services, caller, draft.spec, draft.status or JobStatus.ACTIVE, "created")
        await record(uow, caller, Action.JOB_CREATED, subject_of(job), new=facts(job))
        await remember(uow, caller, view(services, job))
    return await followed(services, job.id)


async def validate(services: Services, caller: Caller, draft: JobDraft, present: Job | None = None) -> DryRun:
    """Say what is wrong with a draft (of a change to ``present``), or when it would run."""
    spec = draft.spec
    async with guarded(services, caller) as uow:
        require(caller, Permission.JOB_VALIDATE, Subject("job", None, spec.name))
        found = await (secret_faults(uow, spec, present) if present else secret_faults_for(uow, spec, caller))
        check(services, draft, present, found)
    words = services.ticks.describe(spec.schedule, spec.timezone) if spec.schedule else None
    return DryRun(next_ticks(services, spec, 5), words)


async def page(
    services: Services, caller: Caller, wanted: JobFilter, sort: JobSort, after: list[Any] | None, limit: int
) -> list[JobView]:
    """The jobs that the caller may see."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.JOB_LIST, Subject("job"))
        jobs = await uow.jobs.page(caller.principal, wanted, sort, after, limit)
    return [view(services, job) for job in jobs]


async def overview(services: Services, caller: Caller, wanted: JobFilter) -> tuple[int, JobChoices]:
    """How many jobs match in all, and what else the list could be filtered by."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.JOB_LIST, Subject("job"))
        return await uow.jobs.count(caller.principal, wanted), await uow.jobs.choices(caller.principal)


async def get(services: Services, caller: Caller, job_id: UUID) -> JobView:
    """One job."""
    async with guarded(services, caller) as uow:
        return view(services, await load_job(uow, caller, Permission.JOB_VIEW, job_id))


async def get_with_deleted(services: Services, caller: Caller, job_id: UUID) -> JobView:
    """One job, also after it was deleted: its history stays to be looked at."""
    async with guarded(services, caller) as uow:
        return view(services, await load_job(uow, caller, Permission.JOB_VIEW, job_id, deleted=True))


async def get_for_edit(services: Services, caller: Caller, job_id: UUID) -> JobView:
    """One job that the caller is about to change: who may not is told before they type, not after."""
    async with guarded(services, caller) as uow:
        return view(services, await load_job(uow, caller, Permission.JOB_EDIT, job_id))


async def edit(
    services: Services,
    caller: Caller,
    job_id: UUID,
    draft_for: Callable[[Job], JobDraft],
    if_match: frozenset[str] | None,
    wish: Wish | None = None,
) -> JobView:
    """Save what ``draft_for`` makes of the stored job, as a new version; nothing is saved when nothing differs.

    With a ``wish`` it is handed over in the same transaction.
    """
    async with guarded(services, caller) as uow:
        job = await load_job(uow, caller, Permission.JOB_EDIT, job_id, lock=True)
        draft = draft_for(job)
        check_match(job, if_match, draft.version)
        # For the present owner: what secrets the next one has is nothing that may be found out here.
        check(services, draft, job, await secret_faults(uow, draft.spec, job))
        before = job
        if wish is not None:
            job = await hand_over(uow, services, caller, job, wish)
        # A job that was handed over may have been switched off thereby.
        status = draft.status if draft.status not in (None, before.status) else job.status
        if draft.spec == job.spec and status is job.status:
            return view(services, job)
        if draft.spec == job.spec:
            await _switched(uow, caller, job, status, _SWITCHES[status][1])
        else:
            changed = await uow.jobs.save(job, draft.spec, status, caller.principal.user_id, "edited")
            await record(uow, caller, Action.JOB_UPDATED, subject_of(changed), old=facts(job), new=facts(changed))
        await uow.notify(Channel.SYNC, str(job_id))
    return await followed(services, job_id)


_SWITCHES: dict[JobStatus, tuple[Permission, Action]] = {
    JobStatus.ACTIVE: (Permission.JOB_ENABLE, Action.JOB_ENABLED),
    JobStatus.DISABLED: (Permission.JOB_DISABLE, Action.JOB_DISABLED),
    JobStatus.DELETED: (Permission.JOB_DELETE, Action.JOB_DELETED),
}


async def switch(
    services: Services,
    caller: Caller,
    job_id: UUID,
    status: JobStatus,
    if_match: frozenset[str] | None = None,
) -> JobView:
    """Enable, disable or delete a job. A deleted job never runs again; its history stays."""
    permission, action = _SWITCHES[status]
    async with guarded(services, caller) as uow:
        job = await load_job(uow, caller, permission, job_id, lock=True)
        check_match(job, if_match)
        switched = job if job.status is status else await _switched(uow, caller, job, status, action)
        await remember(uow, caller, view(services, switched))
    return await followed(services, job_id)


async def clone(
    services: Services, caller: Caller, job_id: UUID, name: str | None, status: JobStatus = JobStatus.DISABLED
) -> JobView:
    """A copy of a job that belongs to the caller."""
    async with guarded(services, caller) as uow:
        source = await load_job(uow, caller, Permission.JOB_CLONE, job_id)
        require(caller, Permission.JOB_CREATE, subject_of(source))
        wanted = name if name is not None else await _copy_name(uow, caller, source.name)
        draft = JobDraft(replace(source.spec, name=wanted))
        check(services, draft, source, await secret_faults_for(uow, draft.spec, caller))
        copy = await _add(uow, services, caller, draft.spec, status, f"cloned from {source.id}")
        origin = {"cloned_from": str(source.id)}
        await record(uow, caller, Action.JOB_CLONED, subject_of(copy), new=facts(copy) | origin)
        await remember(uow, caller, view(services, copy))
    return await followed(services, copy.id)


async def followed(services: Services, job_id: UUID) -> JobView:
    """Give Prefect a moment to follow what was committed, and look again."""
    await sync_job(services, job_id, within_seconds=PREFECT_MAY_TAKE_SECONDS)
    async with services.uow() as uow:
        job = await uow.jobs.get(job_id)
    assert job is not None  # noqa: S101 - jobs are deleted softly
    return view(services, job)


async def _add(
    uow: UnitOfWork, services: Services, caller: Caller, spec: JobSpec, status: JobStatus, change: str
) -> Job:
    who = caller.principal
    await check_quota(uow, services, who.team_id)
    job = await uow.jobs.add(NewJob(uuid7(), spec, status, who.user_id, who.team_id, change), who.user_id)
    await uow.notify(Channel.SYNC, str(job.id))
    return job


async def _switched(uow: UnitOfWork, caller: Caller, job: Job, status: JobStatus, action: Action) -> Job:
    switched = await uow.jobs.set_status(job, status)
    old, new = {"status": job.status.value}, {"status": status.value}
    await record(uow, caller, action, subject_of(job), old=old, new=new)
    await uow.notify(Channel.SYNC, str(job.id))
    return switched


async def _copy_name(uow: UnitOfWork, caller: Caller, name: str) -> str:
    """The name with `` (copy)`` behind it, numbered where there are several."""
    room_for_a_number = 5
    stem = name[: LONGEST_NAME - len(COPY) - room_for_a_number].rstrip()
    return await uow.jobs.free_name(caller.principal.team_id, stem + COPY)
