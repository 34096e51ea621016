"""Prefect, as the use cases and the reconciler need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from platform_api.domain.jobs import JobSpec, JobStatus


class OrchestratorUnavailable(Exception):
    """Prefect could not be reached or did not answer in time; what was asked may or may not have happened."""


class OrchestratorRefused(OrchestratorUnavailable):
    """Prefect answered that it will not take this; asking again may help only after something else has changed."""


@dataclass(frozen=True, slots=True)
class DeploymentIntent:
    """What Prefect is to show for one job: written to the job's deployment as a whole, so it may be repeated."""

    job_id: UUID
    version: int
    spec: JobSpec
    status: JobStatus
    team: str
    owner: str
    page_url: str
    deployment_id: UUID | None


class Orchestrator(Protocol):
    """Keeps Prefect's deployments as our jobs are. Every call is idempotent."""

    async def apply(self, intent: DeploymentIntent) -> UUID:
        """Create or update the job's deployment with its schedule and return its id.

        The runs of the next minute exist in Prefect when this returns. A disabled or deleted job has no schedule
        that fires. Raises ``OrchestratorUnavailable``.
        """
        ...

    async def remove(self, intent: DeploymentIntent) -> None:
        """Delete the job's deployment; nothing happens when it is gone already. Raises ``OrchestratorUnavailable``."""
        ...

    async def deployments(self) -> dict[UUID, UUID]:
        """The job's id by the deployment's id, of every deployment that is ours. Raises ``OrchestratorUnavailable``."""
        ...

    async def is_healthy(self) -> bool:
        """Whether Prefect's API answers now."""
        ...
