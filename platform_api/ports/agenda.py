"""Which jobs have ticks that nobody has settled: the platform's own look at the calendar (decision 0012)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Agenda(Protocol):
    """For each job the earliest tick that may not have an execution. Two workers never hold the same entry."""

    async def due(self, until: datetime, limit: int) -> dict[UUID, datetime | None]:
        """Lock entries up to ``until``, the newest first, so that what is due now waits for no arrears.

        None stands for a job whose schedule has just been set.
        """
        ...

    async def settle(self, next_ticks: Mapping[UUID, datetime | None]) -> None:
        """Move locked entries to the job's next tick; None when none follows."""
        ...
