"""What surrounds every request: its id, the bound on its body, and the last word on a fault of ours."""

from __future__ import annotations

import logging
import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platform_api.doors.rate_limits import add_headers
from platform_api.rest.errors import internal_error, problem

logger = logging.getLogger(__name__)

LARGEST_BODY = 1024 * 1024
_USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Envelope:
    """Pure ASGI, so that streams pass through it untouched."""

    def __init__(self, app: ASGIApp, largest_body: int = LARGEST_BODY) -> None:
        self._app = app
        self._largest_body = largest_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, bound its body, answer when everything else failed to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope.setdefault("state", {})["request_id"] = request_id = _request_id(headers)
        started = False

        async def named_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = request_id
                add_headers(scope, answer)
            await send(message)

        if _announced_length(headers) > self._largest_body:
            await _too_large(Request(scope))(scope, receive, named_send)
            return
        try:
            await self._app(scope, _bounded(receive, self._largest_body), named_send)
        except Exception:
            logger.exception("Request %s %s (%s) failed", scope["method"], scope["path"], request_id)
            if started:
                raise
            await internal_error(Request(scope))(scope, receive, named_send)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _USABLE_ID.fullmatch(given) else str(uuid4())


def _announced_length(headers: Headers) -> int:
    announced = headers.get("content-length", "0")
    return int(announced) if announced.isdecimal() else 0


def _too_large(request: Request) -> ASGIApp:
    return problem(request, 413, "Content Too Large", "The request's body is larger than 1 MiB.")


def _bounded(receive: Receive, largest: int) -> Receive:
    """``receive`` that stops a body which grows past the bound without having said so."""
    total = 0

    async def bounded() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > largest:
            raise HTTPException(413)
        return message

    return bounded
