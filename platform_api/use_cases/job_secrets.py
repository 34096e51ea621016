"""Which secrets a job may name: those that its owner may use."""

from __future__ import annotations

from uuid import UUID

from platform_api.domain.errors import FieldError
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import JobSpec
from platform_api.domain.secret_records import is_name
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller


async def secret_faults(uow: UnitOfWork, spec: JobSpec, job: Job) -> list[FieldError]:
    """What is wrong with the names in ``spec`` as the next version of ``job``, whoever saves it.

    A job that stays as it is, to be switched off perhaps, is left alone.
    """
    return [] if spec == job.spec else await _faults(uow, spec, job.owner_id, job.team_id)


async def secret_faults_for(uow: UnitOfWork, spec: JobSpec, owner: Caller) -> list[FieldError]:
    """What is wrong with the names in ``spec`` as a new job of ``owner``."""
    return await _faults(uow, spec, owner.principal.user_id, owner.principal.team_id)


async def _faults(uow: UnitOfWork, spec: JobSpec, owner_id: UUID, team_id: UUID) -> list[FieldError]:
    """A fault for each name that would give the job nothing. What was typed is not repeated: it may be a value."""
    names = {name for name in spec.secrets.values() if is_name(name)}
    if not names:
        return []
    usable = await uow.secrets.usable(owner_id, team_id, sorted(names))
    return [
        FieldError(f"secrets.{variable}", "names no secret that the job's owner may use; GET /secrets lists yours")
        for variable, name in spec.secrets.items()
        if name in names - usable
    ]
