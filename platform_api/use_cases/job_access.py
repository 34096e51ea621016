"""Loading a job for somebody."""

from __future__ import annotations

from uuid import UUID

from platform_api.audit.entries import Subject
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import JobStatus
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import not_found, require
from rbac.permissions import Permission
from rbac.policy import Resource


def subject_of(job: Job) -> Subject:
    """The job as the audit trail names it."""
    return Subject("job", str(job.id), job.name)


def resource_of(job: Job) -> Resource:
    """The job as the policy sees it."""
    return Resource(job.owner_id, job.team_id)


async def load_job(
    uow: UnitOfWork,
    caller: Caller,
    permission: Permission,
    job_id: UUID,
    *,
    lock: bool = False,
    deleted: bool = False,
) -> Job:
    """The job, if the caller may use ``permission`` on it; a deleted one only where its history is meant."""
    job = await uow.jobs.get(job_id, lock=lock)
    if job is None:
        raise not_found(Subject("job", str(job_id)))
    require(caller, permission, subject_of(job), resource_of(job))
    if job.status is JobStatus.DELETED and not deleted:
        raise not_found(Subject("job", str(job_id)))
    return job
