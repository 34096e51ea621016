"""Figures about one job."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from platform_api.ports.metrics import JobFigures
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded
from platform_api.use_cases.job_access import load_job
from platform_api.use_cases.services import Services
from rbac.permissions import Permission


async def of_job(
    services: Services, caller: Caller, job_id: UUID, since: datetime | None, until: datetime | None
) -> JobFigures:
    """How the job fared from ``since`` until before ``until``."""
    async with guarded(services, caller) as uow:
        await load_job(uow, caller, Permission.METRICS_VIEW, job_id, deleted=True)
        return await uow.metrics.of_job(job_id, since, until)
