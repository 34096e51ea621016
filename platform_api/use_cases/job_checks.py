"""Everything that can be wrong with a job, told at once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from platform_api.domain.errors import FieldError, InvalidContent, LimitReached, StaleVersion
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.job_records import Job
from platform_api.domain.job_rules import faults_of
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.services import Services

#: A quota does not pass by waiting; somebody has to delete a job or raise it.
QUOTA_RETRY_SECONDS = 3600


def check(services: Services, draft: JobDraft, present: Job | None = None, found: Sequence[FieldError] = ()) -> None:
    """Raise ``InvalidContent`` with every fault; ``present`` is the job that the draft changes.

    ``found``: what only the database knew to be wrong (``job_secrets``).
    """
    calendar = services.ticks.check(draft.spec, services.clock.now())
    if present is not None and present.spec.run_at == draft.spec.run_at:
        # A job that ran once keeps its moment when something else about it is changed.
        calendar = [fault for fault in calendar if fault.field != "run_at"]
    told = {_top(fault) for fault in draft.faults}
    further = [fault for fault in [*faults_of(draft.spec), *calendar, *found] if _top(fault) not in told]
    faults = [*draft.faults, *further, *_contradicted(draft, present)]
    if faults:
        raise InvalidContent(list(dict.fromkeys(faults)))


def check_match(job: Job, if_match: frozenset[str] | None, version: int | None = None) -> None:
    """Raise ``StaleVersion`` unless the change is meant for the job as it is."""
    if version is not None and version != job.version:
        raise StaleVersion(job.version)
    if if_match is not None and etag_of(job) not in if_match and "*" not in if_match:
        raise StaleVersion(job.version)


def etag_of(job: Job) -> str:
    """What an ``If-Match`` must name."""
    return f'"{job.version}-{job.generation}"'


async def check_quota(uow: UnitOfWork, services: Services, team_id: UUID) -> None:
    """Raise ``LimitReached`` when the team has all the jobs it may have."""
    most = services.settings.max_jobs_per_team
    if await uow.jobs.count_of_team(team_id) >= most:
        raise LimitReached(
            f"The team has {most} jobs, which is its limit; delete one, or ask an administrator for more.",
            QUOTA_RETRY_SECONDS,
        )


def _top(fault: FieldError) -> str:
    return fault.field.partition(".")[0]


def _contradicted(draft: JobDraft, present: Job | None) -> list[FieldError]:
    if present is None:
        return []
    deployment = present.prefect_deployment_id
    stored = {
        "job_id": str(present.id),
        "owner": present.owner,
        "team": present.team,
        "prefect_deployment_id": str(deployment) if deployment else None,
    }
    return [
        FieldError(name, "is decided by the platform and cannot be changed; leave it out")
        for name, value in draft.claims.items()
        if value is not None and value != stored[name]
    ]
