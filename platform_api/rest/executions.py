"""Executions: lists, CSV, one in full, and its end on request."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.ports.executions import Attempt, Execution, ExecutionFilter, Place
from platform_api.rest.csv_rows import csv_line
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.moments import as_json, moment
from platform_api.rest.paging import LARGEST_LIMIT, decode_cursor, encode_cursor, page_of
from platform_api.use_cases import executions
from platform_api.use_cases.executions import Shown
from rbac.permissions import Permission

router = APIRouter(tags=["executions"])

#: ``2026-01-01T00:00:00+01:00`` whose plus sign the query string turned into a space.
_LOST_PLUS = re.compile(r"(T\S+) (\d\d:?\d\d)$")


def _with_plus(value: Any) -> Any:
    return _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


def _split(value: Any) -> Any:
    """``?status=failed&status=crashed`` and ``?status=failed,crashed`` mean the same."""
    given = value if isinstance(value, list) else [value]
    return [part for item in given for part in (item.split(",") if isinstance(item, str) else [item])]


Moment = Annotated[datetime | None, BeforeValidator(_with_plus)]
Words = Annotated[str | None, Field(max_length=320, pattern=r"^[^\x00]*$")]


class SpanQuery(BaseModel):
    """From when until when; a time without a zone is UTC."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[Moment, Field(alias="from", description="Queued at this moment or later.")] = None
    until: Annotated[Moment, Field(alias="to", description="Queued before this moment.")] = None

    def moments(self) -> tuple[datetime | None, datetime | None]:
        """Both ends, with their zones."""
        return _in_utc(self.since), _in_utc(self.until)


class HistoryQuery(SpanQuery):
    """What one job's executions are filtered by."""

    status: Annotated[list[ExecutionStatus], BeforeValidator(_split)] = []
    triggered_by: Annotated[list[TriggeredBy], BeforeValidator(_split)] = []

    def wanted(self, job_id: UUID | None = None) -> ExecutionFilter:
        """The filter for the use case."""
        since, until = self.moments()
        return ExecutionFilter(self.status, self.triggered_by, since, until, job_id)


class ExportQuery(HistoryQuery):
    """What all executions are filtered by."""

    job_id: UUID | None = None
    owner: Annotated[Words, Field(description="The e-mail address of the jobs' owner.")] = None
    team: Annotated[Words, Field(description="The name of the jobs' team.")] = None

    def wanted(self, job_id: UUID | None = None) -> ExecutionFilter:
        """The filter for the use case."""
        since, until = self.moments()
        return ExecutionFilter(
            self.status, self.triggered_by, since, until, job_id or self.job_id, self.owner, self.team
        )


class PagedHistoryQuery(HistoryQuery):
    """A page of one job's executions."""

    limit: Annotated[int, Field(ge=1, le=LARGEST_LIMIT)] = 50
    cursor: Annotated[str | None, Field(max_length=2000)] = None


class PagedExecutionsQuery(ExportQuery):
    """A page of all executions, or all of them as CSV."""

    limit: Annotated[int, Field(ge=1, le=LARGEST_LIMIT)] = 50
    cursor: Annotated[str | None, Field(max_length=2000)] = None
    format: Literal["json", "csv"] = "json"


@router.get("/jobs/{job_id}/executions", **door(Permission.EXECUTION_LIST))
async def executions_of_job(
    job_id: UUID, query: Annotated[PagedHistoryQuery, Query()], services: ServicesDependency, caller: CallerDependency
) -> dict[str, Any]:
    """A job's history, newest first."""
    wanted = query.wanted(job_id)
    found = await executions.list_of_job(services, caller, job_id, wanted, place_of(query.cursor), query.limit + 1)
    return page_of(found, query.limit, render, lambda shown: cursor_at(shown.execution.queued_at, shown))


@router.get("/executions", response_model=None, **door(Permission.EXECUTION_LIST))
async def all_executions(
    query: Annotated[PagedExecutionsQuery, Query()], services: ServicesDependency, caller: CallerDependency
) -> Response | dict[str, Any]:
    """The executions that the caller may see, newest first; ``format=csv`` for all of them as a table."""
    if query.format == "csv":
        return table(await executions.export(services, caller, query.wanted()))
    behind = place_of(query.cursor)
    found = await executions.list_page(services, caller, query.wanted(), behind, query.limit + 1)
    return page_of(found, query.limit, render, lambda shown: cursor_at(shown.execution.queued_at, shown))


@router.get("/executions/export", **door(Permission.EXECUTION_EXPORT, Action.EXECUTION_EXPORTED))
async def export_executions(
    query: Annotated[ExportQuery, Query()], services: ServicesDependency, caller: CallerDependency
) -> StreamingResponse:
    """The same list as a table, however long."""
    return table(await executions.export(services, caller, query.wanted()))


@router.get("/executions/{execution_id}", **door(Permission.EXECUTION_VIEW))
async def one_execution(execution_id: UUID, services: ServicesDependency, caller: CallerDependency) -> dict[str, Any]:
    """An execution with its attempts."""
    return render(await executions.show(services, caller, execution_id))


@router.post(
    "/executions/{execution_id}/cancel",
    status_code=202,
    **door(Permission.EXECUTION_CANCEL, Action.EXECUTION_CANCELLED),
)
async def cancel_execution(
    execution_id: UUID, request: Request, services: ServicesDependency, caller: CallerDependency
) -> Response:
    """End it: at once while it waits, else as soon as its worker has stopped the script."""
    return await once(request, caller, lambda named: executions.cancel(services, named, execution_id), _cancel_answer)


def _cancel_answer(execution: Execution) -> Response:
    return JSONResponse(
        {"execution_id": str(execution.id), "status": execution.status.value, "cancel_requested": True}, 202
    )


def place_of(cursor: str | None) -> Place | None:
    """The place in the list that a cursor names."""
    parts = decode_cursor(cursor, 2)
    if parts is None:
        return None
    try:
        moment, execution_id = datetime.fromisoformat(parts[0]), UUID(parts[1])
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page") from error
    return Place(moment if moment.tzinfo else moment.replace(tzinfo=UTC), execution_id)


def cursor_at(moment: datetime | None, shown: Shown) -> str:
    """The cursor behind an item of a list that is in the order of ``moment``."""
    return encode_cursor((moment or shown.execution.queued_at).isoformat(), str(shown.execution.id))


def render(shown: Shown) -> dict[str, Any]:
    """An execution as JSON."""
    execution = shown.execution
    document = {
        "execution_id": execution.id,
        "job_id": execution.job_id,
        "job_name": execution.job_name,
        "job_version": execution.job_version,
        "status": execution.status,
        "triggered_by": execution.triggered_by,
        "triggered_by_user": execution.triggered_by_user,
        "scheduled_for": execution.scheduled_for,
        "queued_at": execution.queued_at,
        "started_at": execution.started_at,
        "ended_at": execution.ended_at,
        "duration_seconds": execution.duration_seconds,
        "exit_code": execution.exit_code,
        "error_message": execution.error_message,
        "reason": execution.reason,
        "result": execution.result,
        "revision": execution.revision,
        "worker": execution.worker,
        "prefect_flow_run_id": execution.prefect_flow_run_id,
        "retry_of": execution.retry_of,
        "cancel_requested": execution.cancel_requested_at is not None,
        "attempts": [_attempt(attempt) for attempt in shown.attempts],
    }
    return as_json(document)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "status": attempt.status,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "exit_code": attempt.exit_code,
        "error_message": attempt.error_message,
        "next_attempt_at": attempt.next_attempt_at,
    }


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


COLUMNS = (
    "execution_id",
    "job_id",
    "job_name",
    "status",
    "triggered_by",
    "scheduled_for",
    "started_at",
    "ended_at",
    "duration_seconds",
    "attempts",
    "exit_code",
    "error_message",
)


def table(batches: AsyncIterator[list[Shown]]) -> StreamingResponse:
    """The executions as CSV, a batch at a time."""
    return StreamingResponse(
        _csv(batches),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="executions.csv"'},
    )


async def _csv(batches: AsyncIterator[list[Shown]]) -> AsyncIterator[str]:
    yield csv_line(COLUMNS)
    async for batch in batches:
        yield "".join(csv_line(_row(shown)) for shown in batch)


def _row(shown: Shown) -> list[Any]:
    execution = shown.execution
    return [
        execution.id,
        execution.job_id,
        execution.job_name,
        execution.status,
        execution.triggered_by,
        moment(execution.scheduled_for),
        moment(execution.started_at),
        moment(execution.ended_at),
        execution.duration_seconds,
        len(shown.attempts),
        execution.exit_code,
        execution.error_message,
    ]
