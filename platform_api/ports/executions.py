"""Executions as people see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from rbac.principal import Principal


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution with what its readers want to know of its job."""

    id: UUID
    job_id: UUID
    job_name: str
    job_version: int
    job_is_deleted: bool
    owner_id: UUID
    team_id: UUID
    pool: str
    status: ExecutionStatus
    triggered_by: TriggeredBy
    triggered_by_user: str | None
    scheduled_for: datetime | None
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    error_message: str | None
    reason: str | None
    result: Any
    revision: str | None
    worker: str | None
    prefect_flow_run_id: UUID | None
    retry_of: UUID | None
    overrides: Mapping[str, Any] | None
    cancel_requested_at: datetime | None
    dealt_with_at: datetime | None

    @property
    def duration_seconds(self) -> float | None:
        """From its first start to its end, waits between attempts included."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max((self.ended_at - self.started_at).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an execution."""

    execution_id: UUID
    attempt: int
    status: ExecutionStatus
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    error_message: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions are wanted; every given condition must hold. Times are those of ``queued_at``."""

    statuses: Sequence[ExecutionStatus] = ()
    triggered_by: Sequence[TriggeredBy] = ()
    since: datetime | None = None
    until: datetime | None = None
    job_id: UUID | None = None
    owner: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which execution a page of a list begins."""

    moment: datetime
    id: UUID


class Executions(Protocol):
    """What the use cases read and change."""

    async def get(self, execution_id: UUID, *, for_update: bool = False) -> Execution | None:
        """The execution; ``for_update`` keeps everybody else from changing it until the transaction ends."""
        ...

    async def attempts(self, execution_ids: Sequence[UUID]) -> dict[UUID, list[Attempt]]:
        """The attempts of each, in order."""
        ...

    async def page(
        self, principal: Principal, wanted: ExecutionFilter, behind: Place | None, limit: int
    ) -> list[Execution]:
        """The newest executions that match and that ``principal`` may see; runs claimed ahead are not among them."""
        ...

    async def cancel_waiting(self, execution_id: UUID, by: str, now: datetime) -> bool:
        """End an execution that is not running; False if it is running or over by now."""
        ...

    async def request_cancel(self, execution_id: UUID, by: str, now: datetime) -> None:
        """Ask the worker of a running execution to stop it; who asked first stays on record."""
        ...

    async def deal_with(self, execution_id: UUID, by: UUID, now: datetime) -> bool:
        """Take a failed execution off the dead letters; False if it is none (any more)."""
        ...
