"""The saved changes of a job."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from platform_api.domain.job_records import JobVersion


class Versions(Protocol):
    """Read only: ``Jobs`` writes each once."""

    async def get(self, job_id: UUID, version: int) -> JobVersion | None:
        """One version, if there is one."""
        ...

    async def page(self, job_id: UUID, before: int | None, limit: int) -> list[JobVersion]:
        """The newest ``limit`` versions, older than ``before`` where it is given."""
        ...
