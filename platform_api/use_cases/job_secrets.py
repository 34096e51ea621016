"""Which secrets a job may name: those that its owner may use."""

from __future__ import annotations

from uuid import UUID

from platform_api.domain.errors import FieldError
from platform_api.domain.jobs import JobSpec
from platform_api.ports.unit_of_work import UnitOfWork


async def secret_faults(uow: UnitOfWork, spec: JobSpec, owner_id: UUID, team_id: UUID) -> list[FieldError]:
    """A fault for each name that would give the job nothing. What was typed is not repeated: it may be a value."""
    if not spec.secrets:
        return []
    usable = await uow.secrets.usable(owner_id, team_id, sorted(set(spec.secrets.values())))
    return [
        FieldError(f"secrets.{variable}", "names no secret that the job's owner may use; see GET /secrets")
        for variable, name in spec.secrets.items()
        if name not in usable
    ]
