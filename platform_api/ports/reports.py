"""What Prefect is still to be told (D2): written with the change itself, sent behind, in order per execution."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class ReportKind(StrEnum):
    """What is to be done with the flow run."""

    CREATE = "create"
    STATE = "state"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class PrefectState:
    """A state as Prefect names it."""

    type: str
    name: str
    message: str | None = None
    scheduled_time: datetime | None = None


PENDING = PrefectState("PENDING", "Pending")
RUNNING = PrefectState("RUNNING", "Running")
#: How Prefect calls a run under way again after AwaitingRetry.
RUNNING_AGAIN = PrefectState("RUNNING", "Retrying")


@dataclass(frozen=True, slots=True)
class Report:
    """One thing to tell Prefect, about an execution or about a flow run that became none."""

    kind: ReportKind
    execution_id: UUID | None = None
    flow_run_id: UUID | None = None
    state: PrefectState | None = None


@dataclass(frozen=True, slots=True)
class PendingReport:
    """A report that waits, with what is needed to send it. ``tries`` > 0: it may have reached Prefect already."""

    id: int
    kind: ReportKind
    execution_id: UUID | None
    flow_run_id: UUID | None
    deployment_id: UUID | None
    state: PrefectState | None
    tries: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far Prefect is behind."""

    count: int
    oldest: datetime | None


class Reports(Protocol):
    """The queue of reports, as one transaction sees it."""

    async def add(self, reports: Sequence[Report]) -> None:
        """Queue the reports in their order. A flow run without an execution has one report at most."""
        ...

    async def next(self, limit: int) -> list[PendingReport]:
        """The oldest report of each execution (or lost flow run), oldest first."""
        ...

    async def count_try(self, ids: Sequence[int], error: str | None = None) -> None:
        """Note, before it happens, that the reports are sent; and afterwards why it failed."""
        ...

    async def done(self, ids: Sequence[int]) -> None:
        """Forget reports that Prefect has taken."""
        ...

    async def created(self, execution_id: UUID, flow_run_id: UUID) -> None:
        """Remember the flow run of an execution that a person asked for."""
        ...

    async def skip_superseded(self) -> int:
        """Forget each PENDING that a later state of its execution makes needless; for a long backlog."""
        ...

    async def backlog(self) -> Backlog:
        """How many reports wait, and since when."""
        ...


class Leadership(Protocol):
    """One process at a time tells Prefect, or the order within an execution would be lost."""

    def reporting(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]] | None]:
        """Enter the office if it is free (None if not); what it gives raises once the office is lost."""
        ...
