"""Logs: pages of lines, the text as it was written, and the live stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse, Response, StreamingResponse

from platform_api.domain.errors import InvalidContent
from platform_api.ports.logs import LogLine, LogQuery, as_written
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door
from platform_api.rest.moments import moment
from platform_api.rest.paging import decode_cursor, encode_cursor
from platform_api.use_cases import logs
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.logs import Verdict
from platform_api.use_cases.services import Services
from rbac.permissions import Permission

router = APIRouter(tags=["logs"])

#: A page of a log may be longer than that of other lists: its items are small.
DEFAULT_LINES = 1000
MOST_LINES = 10_000

#: So that proxies and clients know that a silent script's stream still lives.
PING_SECONDS = 15


class LogsQuery(BaseModel):
    """Which lines, and in which form."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST_LINES, description="Lines in the page.")] = DEFAULT_LINES
    cursor: Annotated[str | None, Field(max_length=2000)] = None
    tail: Annotated[int | None, Field(ge=1, le=MOST_LINES, description="Only so many last lines.")] = None
    q: Annotated[str | None, Field(max_length=1000, description="Only lines with this text, in any case.")] = None
    attempt: Annotated[int | None, Field(ge=1, le=1000)] = None
    download: Annotated[Literal["0", "1", "true", "false"], Field(description="As a text file.")] = "0"

    @property
    def is_download(self) -> bool:
        """Whether a file is wanted."""
        return self.download in ("1", "true")


@router.get("/executions/{execution_id}/logs", **door(Permission.LOG_VIEW))
async def read_logs(
    execution_id: UUID,
    query: Annotated[LogsQuery, Query()],
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
) -> Response:
    """Lines as JSON, a page at a time; or the text byte for byte with ``Accept: text/plain`` or ``download=1``."""
    if query.tail is not None and (query.q or query.cursor):
        raise InvalidContent.of("tail", "cannot be combined with q or cursor")
    if query.is_download or _prefers_text(request.headers.get("accept", "")):
        return await _text(services, caller, execution_id, query)
    return await _page(services, caller, execution_id, query)


@router.get("/executions/{execution_id}/logs/stream", **door(Permission.LOG_VIEW))
async def stream_logs(
    execution_id: UUID,
    services: ServicesDependency,
    caller: CallerDependency,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Server-sent events: each ``line`` as it comes, and the final ``status``; from the start or Last-Event-ID on."""
    start = _line_behind(last_event_id)
    return EventSourceResponse(
        _events(await logs.follow(services, caller, execution_id, start)),
        ping=PING_SECONDS,
        headers={"X-Accel-Buffering": "no"},
    )


async def _page(services: Services, caller: Caller, execution_id: UUID, query: LogsQuery) -> Response:
    following: int | None = None
    if query.tail is not None:
        lines = await logs.tail(services, caller, execution_id, query.tail, query.attempt)
    else:
        page = await logs.page(services, caller, execution_id, _wanted(query))
        lines, following = page.lines, page.next_start
    cursor = None if following is None else encode_cursor(following)
    items = [{"number": line.number, **_line(line)} for line in lines]
    return JSONResponse({"items": items, "next_cursor": cursor}, headers={"Vary": "Accept"})


def _wanted(query: LogsQuery) -> LogQuery:
    parts = decode_cursor(query.cursor, 1) or [0]
    if not isinstance(parts[0], int) or not 0 <= parts[0] < 2**62:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page")
    return LogQuery(parts[0], query.limit, query.attempt, query.q or None)


async def _text(services: Services, caller: Caller, execution_id: UUID, query: LogsQuery) -> Response:
    pieces = await _pieces(services, caller, execution_id, query)
    # What goes wrong with the first piece can still be told as an error.
    first = await anext(pieces, b"")
    disposition = "attachment" if query.is_download else "inline"
    return StreamingResponse(
        _all_of(first, pieces),
        media_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'{disposition}; filename="execution-{execution_id}.log"',
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept",
        },
    )


async def _pieces(services: Services, caller: Caller, execution_id: UUID, query: LogsQuery) -> AsyncIterator[bytes]:
    if query.tail is not None:
        return _as_text(await logs.tail(services, caller, execution_id, query.tail, query.attempt))
    if query.q:
        return await logs.search(services, caller, execution_id, _wanted(query))
    return await logs.raw(services, caller, execution_id, query.attempt)


async def _as_text(lines: list[LogLine]) -> AsyncIterator[bytes]:
    yield as_written(lines)


async def _all_of(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _events(heard: AsyncIterator[LogLine | Verdict]) -> AsyncIterator[ServerSentEvent]:
    async for one in heard:
        if isinstance(one, Verdict):
            yield ServerSentEvent(json.dumps({"status": one.status.value, "exit_code": one.exit_code}), event="status")
        else:
            yield ServerSentEvent(json.dumps(_line(one)), event="line", id=str(one.number))


def _line(line: LogLine) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "timestamp": moment(line.timestamp),
        "stream": line.stream,
        "attempt": line.attempt,
        "line": line.text,
    }
    if line.cut:
        # It stands for lines that were not kept.
        return shown | {"cut": {"lines": line.cut.lines, "bytes": line.cut.bytes}}
    # The rest of a very long line follows in the next item.
    return shown | {"partial": True} if line.partial else shown


def _line_behind(last_event_id: str | None) -> int:
    if not last_event_id:
        return 0
    if not last_event_id.isdecimal() or len(last_event_id) > 18:
        raise InvalidContent.of("Last-Event-ID", "must be the id of a line event of this stream")
    return int(last_event_id) + 1


def _prefers_text(accept: str) -> bool:
    """Whether the client names plain text and does not like JSON as much."""
    weights = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        weights[kind] = float(weight) if weight.replace(".", "", 1).isdecimal() else 0.0
    return weights.get("text/plain", 0.0) > weights.get("application/json", 0.0)
