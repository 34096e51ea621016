"""Taking runs, ahead of their time or from a worker that is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.domain.jobs import JobSpec, JobStatus


@dataclass(frozen=True, slots=True)
class Proposal:
    """A flow run that Prefect's schedule (or, ``by_hand``, a person in Prefect's own UI) wants to be run."""

    flow_run_id: UUID
    job_id: UUID
    scheduled_for: datetime
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class ProposedJob:
    """What is known of a proposal's job when it arrives."""

    id: UUID
    status: JobStatus
    version: int
    spec: JobSpec
    scheduled_since: datetime


@dataclass(frozen=True, slots=True)
class Admission:
    """A row to write for a proposal: to be run, or recorded as skipped with the reason."""

    id: UUID
    job_id: UUID
    job_version: int
    status: ExecutionStatus
    triggered_by: TriggeredBy
    scheduled_for: datetime | None
    due_at: datetime
    exclusive: bool
    priority: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AdoptedFlowRun:
    """A flow run that an execution of ours has taken for its own, and where that execution stands."""

    flow_run_id: UUID
    execution_id: UUID
    status: ExecutionStatus
    reason: str | None


@dataclass(frozen=True, slots=True)
class HeldRun:
    """An execution that a worker holds, with all that starting or ending it needs.

    ``spec`` is that of the execution's version; ``newer`` is the job's present one where it has changed since.
    """

    id: UUID
    job_id: UUID
    job_status: JobStatus
    version: int
    spec: JobSpec
    newer_version: int | None
    newer: JobSpec | None
    status: ExecutionStatus
    attempt: int
    triggered_by: TriggeredBy
    scheduled_for: datetime | None
    due_at: datetime
    queued_at: datetime
    priority: int
    overrides: dict[str, Any] | None
    #: For what it waits, once its turn has come and its job's place was taken.
    reason: str | None = None
    #: Its flow run, once Prefect has one.
    flow_run_id: UUID | None = None


class Claims(Protocol):
    """Rows change hands here and nowhere else; each method is one statement."""

    async def jobs(self, ids: Sequence[UUID]) -> dict[UUID, ProposedJob]:
        """The jobs of some proposals."""
        ...

    async def known(self, flow_run_ids: Sequence[UUID]) -> set[UUID]:
        """Those flow runs that have an execution, or wait to be refused, already."""
        ...

    async def admit(
        self, worker_id: UUID, pool: str, admissions: Sequence[Admission], *, proposed: bool = True
    ) -> set[UUID]:
        """Write the rows, held by the worker; the ids of those whose tick was still free.

        The id of one that was ``proposed`` is that of its flow run; another has no flow run yet.
        """
        ...

    async def adopt(self, proposals: Sequence[Proposal]) -> list[AdoptedFlowRun]:
        """Give flow runs to executions of the same tick that have none and of which Prefect has not heard."""
        ...

    async def ticks_taken(self, ticks: Sequence[tuple[UUID, datetime]]) -> set[tuple[UUID, datetime]]:
        """Those ticks (job, moment) that have an execution."""
        ...

    async def caught_up(self, ids: Sequence[UUID]) -> None:
        """Mark queued runs as made up for."""
        ...

    async def take(
        self, worker_id: UUID, pool: str, until: datetime, limit: int, known: Sequence[UUID]
    ) -> list[HeldRun]:
        """Take runs of the pool that are due before ``until`` and that nobody holds, or the worker itself
        without knowing it."""
        ...

    async def take_over(self, worker_id: UUID, dead: Sequence[UUID], *, running: bool) -> list[HeldRun]:
        """Take what dead workers held: their running attempts, or what they had not started."""
        ...

    async def release(self, worker_id: UUID) -> None:
        """Give back what has not started; for a worker that stops in order."""
        ...

    async def read(self, worker_id: UUID, ids: Sequence[UUID]) -> list[HeldRun]:
        """The worker's runs that wait to be started, locked until the transaction ends."""
        ...
