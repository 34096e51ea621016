"""The versions of a job: look, compare, go back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.domain.diff import DiffLine, FieldChange, field_changes, line_changes
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.job_records import JobVersion
from platform_api.ports.signals import Channel
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, not_found, remember
from platform_api.use_cases.job_access import load_job, subject_of
from platform_api.use_cases.job_checks import check, check_match
from platform_api.use_cases.job_secrets import secret_faults
from platform_api.use_cases.jobs import JobView, facts, followed, view
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """What changed from one version to another; ``script`` is empty when the text is the same."""

    old: JobVersion
    new: JobVersion
    fields: list[FieldChange]
    script: list[DiffLine]


async def page(services: Services, caller: Caller, job_id: UUID, before: int | None, limit: int) -> list[JobVersion]:
    """The versions of a job, newest first; a deleted job keeps them."""
    async with guarded(services, caller) as uow:
        await load_job(uow, caller, Permission.VERSION_VIEW, job_id, deleted=True)
        return await uow.versions.page(job_id, before, limit)


async def get(services: Services, caller: Caller, job_id: UUID, version: int) -> JobVersion:
    """One version of a job."""
    async with guarded(services, caller) as uow:
        await load_job(uow, caller, Permission.VERSION_VIEW, job_id, deleted=True)
        return await _version(uow, job_id, version)


async def diff(services: Services, caller: Caller, job_id: UUID, old: int, new: int) -> VersionDiff:
    """What changed from version ``old`` to version ``new``."""
    async with guarded(services, caller) as uow:
        await load_job(uow, caller, Permission.VERSION_VIEW, job_id, deleted=True)
        before, after = await _version(uow, job_id, old), await _version(uow, job_id, new)
    fields = list(field_changes(before.spec.to_json(), after.spec.to_json()))
    texts = before.spec.script or "", after.spec.script or ""
    # A long script takes a second to compare; other requests are not to wait for it.
    script = await asyncio.to_thread(line_changes, *texts) if texts[0] != texts[1] else []
    return VersionDiff(before, after, fields, script)


async def rollback(
    services: Services, caller: Caller, job_id: UUID, version: int, if_match: frozenset[str] | None
) -> JobView:
    """Make an earlier version anew: the newest version then says what that one said."""
    async with guarded(services, caller) as uow:
        job = await load_job(uow, caller, Permission.JOB_ROLLBACK, job_id, lock=True)
        check_match(job, if_match)
        earlier = await _version(uow, job_id, version)
        check(services, JobDraft(earlier.spec), job, await secret_faults(uow, earlier.spec, job))
        change = f"rolled back to version {version}"
        changed = await uow.jobs.save(job, earlier.spec, job.status, caller.principal.user_id, change)
        await record(
            uow, caller, Action.JOB_ROLLED_BACK, subject_of(changed), old=facts(job), new=facts(changed), reason=change
        )
        await uow.notify(Channel.SYNC, str(job_id))
        await remember(uow, caller, view(services, changed))
    return await followed(services, job_id)


async def _version(uow: UnitOfWork, job_id: UUID, version: int) -> JobVersion:
    found = await uow.versions.get(job_id, version)
    if found is None:
        raise not_found(Subject("version", str(version)))
    return found
