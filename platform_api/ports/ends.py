"""From running to the verdict, or to the next attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended and what follows for its execution.

    ``status`` is the attempt's; with ``next_attempt_at`` the execution itself goes to ``retrying``.
    """

    execution_id: UUID
    attempt: int
    status: ExecutionStatus
    ended_at: datetime
    started_at: datetime | None = None
    exit_code: int | None = None
    error_message: str | None = None
    reason: str | None = None
    result: Any = None
    next_attempt_at: datetime | None = None

    @property
    def execution_status(self) -> ExecutionStatus:
        """Where the execution stands now."""
        return ExecutionStatus.RETRYING if self.next_attempt_at else self.status


class Ends(Protocol):
    """The changes of runs that are over, and of those that are to be."""

    async def lock(self, worker_id: UUID, attempts: Sequence[tuple[UUID, int]]) -> dict[UUID, str | None]:
        """Those attempts that the worker still runs, locked, with who asked for their cancellation, if anybody."""
        ...

    async def finish(self, verdicts: Sequence[Verdict]) -> None:
        """Write the verdicts of attempts that this transaction has locked."""
        ...

    async def running(self, worker_id: UUID) -> dict[UUID, str | None]:
        """What the worker runs, with who wants it stopped, if anybody."""
        ...

    async def request_cancel(self, flow_run_id: UUID, requested_by: str, now: datetime) -> UUID | None:
        """Ask for the end of a flow run's execution; one that has not started ends at once and is returned."""
        ...

    async def untidied(self, workers: Sequence[UUID]) -> list[tuple[UUID, int]]:
        """Finished executions of those workers, with their number of attempts, whose logs are not archived yet."""
        ...
