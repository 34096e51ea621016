"""Runs of one job: which of them a page shows, and how a chart draws them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from pydantic import BaseModel, Field

from platform_api.domain.errors import InvalidContent
from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.ports.executions import Execution, ExecutionFilter, Place
from platform_api.ports.metrics import RecentRun
from platform_api.rest.paging import decode_cursor, encode_cursor
from platform_api.web.moments import day_of, read_moment


class HistoryQuery(BaseModel):
    """What the form above the history asks for."""

    status: str = ""
    triggered_by: str = ""
    since: Annotated[str, Field(alias="from")] = ""
    until: Annotated[str, Field(alias="to")] = ""
    cursor: str = ""

    def statuses(self) -> tuple[ExecutionStatus, ...]:
        """The wanted statuses; a word that is none asks for nothing."""
        return (ExecutionStatus(self.status),) if self.status in list(ExecutionStatus) else ()

    def triggers(self) -> tuple[TriggeredBy, ...]:
        """What the wanted runs were started by."""
        return (TriggeredBy(self.triggered_by),) if self.triggered_by in list(TriggeredBy) else ()

    def wanted(self, job_id: UUID) -> ExecutionFilter:
        """As the use case takes it; a day means the whole of it, in UTC."""
        since, until = day_of(self.since), day_of(self.until)
        end = until + timedelta(days=1) if until else None
        return ExecutionFilter(self.statuses(), self.triggers(), since, end, job_id)

    @property
    def are_set(self) -> bool:
        """Whether anything is filtered."""
        return any((self.status, self.triggered_by, self.since, self.until))

    def behind(self) -> Place | None:
        """Where this page begins."""
        return place(self.cursor)

    def address(self, job_id: UUID, last: Execution) -> str:
        """The page behind ``last``."""
        given = {**self.model_dump(by_alias=True), "cursor": cursor_behind(last)}
        return f"/jobs/{job_id}?" + urlencode({name: value for name, value in given.items() if value}) + "#history"


def cursor_behind(last: Execution) -> str:
    """The end of a page as a text for an address."""
    return encode_cursor(last.queued_at.isoformat(), str(last.id))


def place(cursor: str) -> Place | None:
    """What ``cursor_behind`` wrote."""
    parts = decode_cursor(cursor or None, 2)
    if parts is None:
        return None
    try:
        return Place(read_moment(parts[0]), UUID(parts[1]))
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidContent.of("cursor", "is none of this list; begin again at its first page") from error


def chart_of(runs: Sequence[RecentRun]) -> dict[str, Any]:
    """Columns for the chart: when, how long, how it ended."""
    return {
        "times": [run.queued_at.timestamp() for run in runs],
        "seconds": [run.duration_seconds for run in runs],
        "statuses": [run.status for run in runs],
        "links": [f"/executions/{run.execution_id}" for run in runs],
    }
