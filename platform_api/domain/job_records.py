"""A job as it is stored: what a person decided, and what the platform knows about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.jobs import JobSpec, JobStatus, SyncState


@dataclass(frozen=True, slots=True)
class LastExecution:
    """The newest execution of a job that has come to its time."""

    execution_id: UUID
    status: ExecutionStatus
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the jobs table, with the names of its people."""

    id: UUID
    spec: JobSpec
    status: JobStatus
    version: int
    generation: int
    synced_generation: int
    sync_error: str | None
    owner_id: UUID
    owner: str
    team_id: UUID
    team: str
    prefect_deployment_id: UUID | None
    created_at: datetime
    updated_at: datetime
    scheduled_since: datetime
    last_execution: LastExecution | None = None

    @property
    def name(self) -> str:
        """The job's name in its present version."""
        return self.spec.name

    @property
    def sync_state(self) -> SyncState:
        """Whether Prefect shows what is stored."""
        if self.synced_generation >= self.generation:
            return SyncState.SYNCED
        return SyncState.FAILED if self.sync_error else SyncState.PENDING


@dataclass(frozen=True, slots=True)
class JobVersion:
    """One saved change of a job; never edited again."""

    job_id: UUID
    version: int
    spec: JobSpec
    author: str
    change: str
    created_at: datetime
