"""When a job is due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from platform_api.domain.errors import FieldError
from platform_api.domain.jobs import JobSpec


class Ticks(Protocol):
    """Calendar arithmetic over a job's schedule. Every time that goes in or out is UTC."""

    def check(self, spec: JobSpec, now: datetime) -> list[FieldError]:
        """The faults of ``schedule``, ``run_at``, ``interval_seconds`` and ``timezone``; empty when there is none.

        A cron fault names its position; an expression that never fires and a ``run_at`` in the past are faults.
        """
        ...

    def after(self, spec: JobSpec, moment: datetime) -> Iterator[datetime]:
        """The ticks strictly after ``moment``, in order; endless for cron and interval, at most one for ``run_at``."""
        ...

    def is_tick(self, spec: JobSpec, moment: datetime) -> bool:
        """Whether ``moment`` is one of the job's ticks."""
        ...

    def normalise(self, expression: str) -> str:
        """The five-field cron expression that an accepted expression (``@daily`` too) stands for."""
        ...

    def describe(self, expression: str, timezone: str) -> str:
        """The expression in words, such as "At 02:00 AM, only on Monday"."""
        ...

    def notes(self, spec: JobSpec, start: datetime, end: datetime) -> list[str]:
        """What clock changes between the two moments do to the job's ticks, one sentence for each that matters."""
        ...
