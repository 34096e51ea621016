"""Jobs and their versions, as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from platform_api.domain.job_records import Job
from platform_api.domain.jobs import JobSpec, JobStatus
from rbac.principal import Principal


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted; every given condition must hold. Deleted ones only when ``status`` asks for them."""

    status: str | None = None
    type: str | None = None
    owner: str | None = None
    team: str | None = None
    tags: tuple[str, ...] = ()
    q: str | None = None
    last_status: str | None = None


@dataclass(frozen=True, slots=True)
class JobChoices:
    """What the jobs that somebody may see can be filtered by."""

    teams: list[str]
    owners: list[str]
    tags: list[str]


class JobSort(StrEnum):
    """The orders of a list; ``-`` is descending."""

    NAME = "name"
    NAME_DOWN = "-name"
    CREATED = "created_at"
    CREATED_DOWN = "-created_at"
    UPDATED = "updated_at"
    UPDATED_DOWN = "-updated_at"

    @property
    def key(self) -> str:
        """What it sorts by."""
        return self.value.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        """Whether the largest comes first."""
        return self.value.startswith("-")


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job is made of."""

    id: UUID
    spec: JobSpec
    status: JobStatus
    owner_id: UUID
    team_id: UUID
    change: str = "created"


class Jobs(Protocol):
    """The jobs of one transaction. Every write grows the generation that Prefect is to follow (D7)."""

    async def get(self, job_id: UUID, *, lock: bool = False) -> Job | None:
        """The job, deleted ones too; with ``lock`` nobody else changes it until the transaction ends."""
        ...

    async def page(
        self, principal: Principal, wanted: JobFilter, sort: JobSort, after: list[Any] | None, limit: int
    ) -> list[Job]:
        """The jobs that the principal may see, in order, behind the place ``after`` (sort key, id)."""
        ...

    async def count(self, principal: Principal, wanted: JobFilter) -> int:
        """How many jobs ``page`` would show in all."""
        ...

    async def choices(self, principal: Principal) -> JobChoices:
        """The teams, owners and most used tags of the jobs that the principal may see."""
        ...

    async def schedules(self, principal: Principal, wanted: JobFilter) -> list[tuple[JobSpec, int]]:
        """The different schedules of the jobs that match, each as a spec with nothing else, and how many share it."""
        ...

    async def count_of_team(self, team_id: UUID) -> int:
        """How many jobs the team has that are not deleted; whoever counts comes one after the other."""
        ...

    async def free_name(self, team_id: UUID, wanted: str) -> str:
        """``wanted``, or with the first number behind it that makes it free in the team."""
        ...

    async def add(self, new: NewJob, author_id: UUID) -> Job:
        """Store a job and its first version; raises ``Conflict`` when the team has a job of that name."""
        ...

    async def save(self, job: Job, spec: JobSpec, status: JobStatus, author_id: UUID, change: str) -> Job:
        """Store a further version of a locked job; raises ``Conflict`` as ``add`` does."""
        ...

    async def of_owner(self, owner_id: UUID) -> list[Job]:
        """The person's jobs that are not deleted, locked."""
        ...

    async def hand_over(self, job: Job, owner_id: UUID, team_id: UUID) -> Job:
        """Give a locked job to another owner or team; raises ``Conflict`` as ``add`` does. No version is made."""
        ...

    async def set_status(self, job: Job, status: JobStatus) -> Job:
        """Change the status of a locked job; no version is made."""
        ...
