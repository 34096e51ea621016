"""What the database knows about how the platform is doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Vitals:
    """A few figures, measured at one moment by the database's clock."""

    live_workers: int
    #: Since the latest sign of life of a worker that lives; None without one.
    heartbeat_age_seconds: float | None
    #: What the workers say that they cannot enforce against a hostile script.
    warnings: list[str]
    #: Executions that are due and held up by nothing but us, and how late the oldest is.
    overdue: int
    overdue_seconds: float
    running: int
    #: Claimed ahead or waiting.
    queued: int
    retrying: int
    #: What Prefect is still to be told, and for how long the oldest has waited.
    reports: int
    reports_seconds: float


class HealthFigures(Protocol):
    """Read-only figures."""

    async def vitals(self, pool: str) -> Vitals:
        """The figures of one work pool, from partial indexes only: cheap however long the history is."""
        ...

    async def queued_lately(self, hours: int) -> dict[str, int]:
        """Executions that were queued in the last hours, by status."""
        ...
