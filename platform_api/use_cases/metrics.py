"""Figures about one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from platform_api.domain.job_records import Job
from platform_api.ports.metrics import JobFigures, RecentRun
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.job_access import load_job, resource_of, subject_of
from platform_api.use_cases.services import Services
from rbac.permissions import Permission


async def of_job(
    services: Services, caller: Caller, job_id: UUID, since: datetime | None, until: datetime | None
) -> JobFigures:
    """How the job fared from ``since`` until before ``until``."""
    async with guarded(services, caller) as uow:
        await load_job(uow, caller, Permission.METRICS_VIEW, job_id, deleted=True)
        return await uow.metrics.of_job(job_id, since, until)


async def recent_of_jobs(
    services: Services, caller: Caller, jobs: Sequence[Job], count: int
) -> Mapping[UUID, list[RecentRun]]:
    """The newest executions of each job, oldest first: of jobs that were loaded for the caller."""
    async with guarded(services, caller) as uow:
        for job in jobs:
            require(caller, Permission.METRICS_VIEW, subject_of(job), resource_of(job))
        return await uow.metrics.recent([job.id for job in jobs], count)
