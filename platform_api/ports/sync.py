"""What Prefect is still to be shown of our jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from platform_api.ports.orchestrator import DeploymentIntent


@dataclass(frozen=True, slots=True)
class SyncTask:
    """What a job's deployment is to show, and the generation of the job that this is."""

    generation: int
    intent: DeploymentIntent


class SyncStore(Protocol):
    """The jobs whose deployments are behind (D7)."""

    async def lock(self, job_id: UUID, *, wait: bool) -> bool:
        """Keep every other process from showing this job until the transaction ends; False when one does already."""
        ...

    async def task(self, job_id: UUID, base_url: str) -> SyncTask | None:
        """What is to be shown now, or None when nothing is."""
        ...

    async def done(self, job_id: UUID, generation: int, deployment_id: UUID | None) -> None:
        """Note that Prefect shows this generation; an older one than is noted already changes nothing."""
        ...

    async def failed(self, job_id: UUID, error: str) -> None:
        """Note why a job that is behind could not be shown."""
        ...

    async def behind(self, limit: int) -> list[tuple[UUID, int]]:
        """Jobs that are behind with their generations, those that changed first in front."""
        ...

    async def mark_missing(self, deployments: Mapping[UUID, UUID]) -> int:
        """Put jobs behind again that Prefect, which has these deployments (to their jobs), does not show rightly.

        That is a job without its deployment, and a deployment whose job is deleted. Returns how many.
        """
        ...
