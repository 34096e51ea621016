"""The log of an execution as its viewer reads it: windows of lines, hits, the first error, and lines as they come.

A line travels as ``[number, milliseconds, stream, attempt, text, flag]``; the flag is 1 where the line goes on in the
next one, and the count of lines that are not kept where it stands for those.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse, Response

from platform_api.ports.logs import PLATFORM, LogLine, LogQuery
from platform_api.use_cases import logs
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.logs import Verdict
from platform_api.use_cases.services import Services
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()

WINDOW = 500
MOST_HITS = 5000
HITS_AT_ONCE = 1000
LINES_SEARCHED_AT_ONCE = 10_000
PING_SECONDS = 15
#: Lines that wait for a slow browser; then the log waits, too.
WAITING = 2000
SENT_AT_ONCE = 500

#: What an error looks like in a log of whatever language.
_ERROR = re.compile(
    rb"\b(?:error|errors|exception|traceback|fatal|panic|failed|failure)\b|(?-i:Error\b|Exception\b)", re.IGNORECASE
)
#: What every such line has in it: sorts nearly all of a long log out at a hundredth of the cost.
_SIGNS = (b"error", b"exception", b"traceback", b"fatal", b"panic", b"fail")
_NO_ERROR = re.compile(rb"\b(?:0|no|without) (?:errors?|failures?|failed)\b", re.IGNORECASE)

_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")

_NOT_STORED = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers of a log's lines (or of one attempt's): from ``first`` up to before ``end``."""

    first: int
    end: int


async def span_of(services: Services, caller: Caller, execution_id: UUID, attempt: int | None) -> Span:
    """Where the lines begin and end; they follow each other attempt by attempt."""
    head = await logs.page(services, caller, execution_id, LogQuery(0, 1, attempt))
    tail = await logs.tail(services, caller, execution_id, 1, attempt)
    if not tail:
        return Span(0, 0)
    return Span(head.lines[0].number if head.lines else 0, tail[-1].number + 1)


@router.get("/executions/{execution_id}/log/lines", **page(Permission.LOG_VIEW))
async def lines(
    services: ServicesDependency,
    caller: CallerDependency,
    execution_id: UUID,
    start: Annotated[int, Query(ge=0, lt=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=WINDOW)] = WINDOW,
) -> Response:
    """A window of lines."""
    found = await logs.page(services, caller, execution_id, LogQuery(start, limit))
    return JSONResponse([line_json(line) for line in found.lines], headers=_NOT_STORED)


@router.get("/executions/{execution_id}/log/search", **page(Permission.LOG_VIEW))
async def search(
    services: ServicesDependency,
    caller: CallerDependency,
    execution_id: UUID,
    q: Annotated[str, Query(min_length=1, max_length=200)],
    attempt: int | None = None,
) -> Response:
    """The numbers of the lines with these words, as many as anybody would step through."""
    hits: list[int] = []
    following: int | None = 0
    while following is not None and len(hits) < MOST_HITS:
        found = await logs.page(services, caller, execution_id, LogQuery(following, HITS_AT_ONCE, attempt, q))
        hits += [line.number for line in found.lines if not line.cut]
        following = found.next_start
    more = following is not None or len(hits) > MOST_HITS
    return JSONResponse({"numbers": hits[:MOST_HITS], "more": more}, headers=_NOT_STORED)


@router.get("/executions/{execution_id}/log/first-error", **page(Permission.LOG_VIEW))
async def first_error(
    services: ServicesDependency, caller: CallerDependency, execution_id: UUID, attempt: int | None = None
) -> Response:
    """The first line that looks like an error; without one, the first that was written to stderr."""
    following: int | None = 0
    on_stderr: int | None = None
    while following is not None:
        query = LogQuery(following, LINES_SEARCHED_AT_ONCE, attempt)
        found = await logs.page(services, caller, execution_id, query)
        # A page is a tenth of a second's work: other requests are not to wait for it.
        number = await asyncio.to_thread(first_error_in, found.lines)
        if number is not None:
            return JSONResponse({"number": number}, headers=_NOT_STORED)
        if on_stderr is None:
            on_stderr = next((line.number for line in found.lines if line.stream == "stderr"), None)
        following = found.next_start
    return JSONResponse({"number": on_stderr}, headers=_NOT_STORED)


def first_error_in(found: list[LogLine]) -> int | None:
    """The number of the first line that tells of an error."""
    return next((line.number for line in found if line.stream != PLATFORM and _tells_an_error(line.data)), None)


def _tells_an_error(text: bytes) -> bool:
    lower = text.lower()
    if not any(sign in lower for sign in _SIGNS):
        return False
    text = _COLOUR.sub(b" ", text)
    return _ERROR.search(text) is not None and _NO_ERROR.search(text) is None


@router.get("/executions/{execution_id}/log/stream", **page(Permission.LOG_VIEW))
async def stream(
    services: ServicesDependency,
    caller: CallerDependency,
    execution_id: UUID,
    start: Annotated[int, Query(ge=0, lt=2**62)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Lines as they come, in handfuls; at the end the verdict. A browser that comes back goes on where it was."""
    if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < 19:
        start = int(last_event_id) + 1
    heard = await logs.follow(services, caller, execution_id, start)
    return EventSourceResponse(
        _events(heard), ping=PING_SECONDS, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    )


async def _events(heard: AsyncIterator[LogLine | Verdict]) -> AsyncIterator[ServerSentEvent]:
    async for handful in _in_handfuls(heard):
        found = [one for one in handful if isinstance(one, LogLine)]
        if found:
            data = json.dumps([line_json(line) for line in found], separators=(",", ":"))
            yield ServerSentEvent(data, event="lines", id=str(found[-1].number))
        for verdict in handful:
            if isinstance(verdict, Verdict):
                yield ServerSentEvent(json.dumps({"status": verdict.status.value}), event="status")


async def _in_handfuls(heard: AsyncIterator[LogLine | Verdict]) -> AsyncIterator[list[LogLine | Verdict]]:
    """Whatever has come by the time that the browser has taken the handful before."""
    queue: asyncio.Queue[LogLine | Verdict] = asyncio.Queue(WAITING)

    async def listen() -> None:
        async for one in heard:
            await queue.put(one)

    listener = asyncio.create_task(listen())
    try:
        while (first := await _next(queue, listener)) is not None:
            yield [first, *(queue.get_nowait() for _ in range(min(queue.qsize(), SENT_AT_ONCE)))]
    finally:
        listener.cancel()
        await asyncio.wait([listener])


async def _next(queue: asyncio.Queue[LogLine | Verdict], listener: asyncio.Task[None]) -> LogLine | Verdict | None:
    """What comes next; None when nothing will any more."""
    if not queue.empty():
        return queue.get_nowait()
    getter = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait([getter, listener], return_when=asyncio.FIRST_COMPLETED)
        if getter.done():
            return getter.result()
    finally:
        getter.cancel()
    # The listener may have put its last into the queue after the getter was looked at.
    return queue.get_nowait() if not queue.empty() else None


def line_json(line: LogLine) -> list[Any]:
    """One line as it travels."""
    flag = line.cut.lines if line.cut else int(line.partial)
    stream_name = "cut" if line.cut else line.stream
    return [line.number, int(line.timestamp.timestamp() * 1000), stream_name, line.attempt, line.text, flag]
