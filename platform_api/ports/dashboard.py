"""The figures that a person sees first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rbac.principal import Principal


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job whose newest verdict is bad, and nobody has dealt with it."""

    job_id: UUID
    job_name: str
    execution_id: UUID
    status: str
    ended_at: datetime | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class DashboardFigures:
    """Everything the caller may see, counted."""

    jobs_by_status: Mapping[str, int]
    executions_24h: Mapping[str, int]
    successes_7d: int
    failures_7d: int
    running_now: int
    failed_jobs: list[FailedJob]

    @property
    def success_rate_7d(self) -> float | None:
        """The share of successes among what succeeded or failed in seven days; None if nothing did."""
        finished = self.successes_7d + self.failures_7d
        return round(self.successes_7d / finished, 4) if finished else None


@dataclass(frozen=True, slots=True)
class Span:
    """How the runs of a span of time ended."""

    start: datetime
    successes: int
    failures: int


@dataclass(frozen=True, slots=True)
class JobRecord:
    """How one job fared in seven days."""

    job_id: UUID
    job_name: str
    successes: int
    failures: int
    average_seconds: float | None

    @property
    def failure_rate(self) -> float:
        """The share of failures among what succeeded or failed."""
        return self.failures / ((self.successes + self.failures) or 1)


class Dashboard(Protocol):
    """Asks the database for the dashboard. ``team`` and ``owner`` narrow what ``principal`` may see."""

    async def figures(
        self, principal: Principal, team: str | None, now: datetime, owner: str | None = None
    ) -> DashboardFigures:
        """The figures of the jobs that ``principal`` may see, of one team if ``team`` names it."""
        ...

    async def trend(self, principal: Principal, team: str | None, owner: str | None, now: datetime) -> list[Span]:
        """The verdicts of seven days in spans of six hours, oldest first; spans without any are left out."""
        ...

    async def records(
        self, principal: Principal, team: str | None, owner: str | None, now: datetime
    ) -> list[JobRecord]:
        """Every job with a verdict in seven days."""
        ...
