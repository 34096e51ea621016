"""From waiting to running: the moment at which the database decides who may (D3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus


@dataclass(frozen=True, slots=True)
class Start:
    """A run that is to start now, with the version it is to run."""

    id: UUID
    version: int
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A run that is not to start: it ends here, as skipped or cancelled, with the reason."""

    id: UUID
    status: ExecutionStatus
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerName:
    """Who writes: ``id`` fences every change, ``name`` is shown to people."""

    id: UUID
    name: str


class Starts(Protocol):
    """The changes of runs that are due."""

    async def begin(self, worker: WorkerName, starts: Sequence[Start], now: datetime) -> set[UUID]:
        """Mark as running, with their attempt, those that hold or find their job's place; return their ids."""
        ...

    async def occupants(self, job_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Which execution has the only place of each job, where one has."""
        ...

    async def refuse(self, refusals: Sequence[Refusal], now: datetime) -> None:
        """End runs that never start."""
        ...

    async def drop(self, ids: Sequence[UUID]) -> None:
        """Forget claims whose tick is none any more, with everything that was to be said about them."""
        ...

    async def wait(self, reasons: Sequence[tuple[UUID, str]]) -> None:
        """Leave runs queued, saying for what they wait."""
        ...

    async def unblocked(self, worker_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        """Of the worker's waiting runs the first of each job whose place is free, and those that wait no more."""
        ...

    async def correct(self, started: Sequence[tuple[UUID, int, datetime]]) -> None:
        """Store when the scripts of (execution, attempt) really began."""
        ...
