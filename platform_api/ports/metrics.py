"""Figures about the executions of one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LastExecution:
    """The newest execution of a job, in short."""

    execution_id: UUID
    status: str
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobFigures:
    """Counts over a span of time. Durations are those of executions that succeeded or failed, in seconds."""

    total: int
    success_count: int
    failure_count: int
    avg_duration_seconds: float | None
    median_duration_seconds: float | None
    p95_duration_seconds: float | None
    last_execution: LastExecution | None

    @property
    def success_rate(self) -> float | None:
        """The share of successes among those that succeeded or failed; None before the first."""
        finished = self.success_count + self.failure_count
        return round(self.success_count / finished, 4) if finished else None


@dataclass(frozen=True, slots=True)
class RecentRun:
    """One execution as a bar of a picture."""

    execution_id: UUID
    status: str
    queued_at: datetime
    duration_seconds: float | None


class Metrics(Protocol):
    """Asks the database for figures."""

    async def of_job(self, job_id: UUID, since: datetime | None, until: datetime | None) -> JobFigures:
        """The figures of executions queued from ``since`` until before ``until``."""
        ...

    async def recent(self, job_ids: Sequence[UUID], count: int) -> Mapping[UUID, list[RecentRun]]:
        """The newest ``count`` executions of each job, oldest first."""
        ...
