"""Runs that a person asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from platform_api.domain.executions import TriggeredBy
from platform_api.domain.job_records import Job


@dataclass(frozen=True, slots=True)
class NewRun:
    """An execution that is due at once."""

    id: UUID
    job: Job
    pool: str
    triggered_by: TriggeredBy
    user_id: UUID
    now: datetime
    overrides: Mapping[str, Any] | None = None
    retry_of: UUID | None = None


class Runs(Protocol):
    """New executions."""

    async def add(self, run: NewRun) -> None:
        """Queue the execution."""
        ...
