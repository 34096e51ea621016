"""The guarded door to Prefect's own pages, for administrators: ``/prefect``.

Prefect's server knows one password for everything. It is added here, on the way to the server, and is in no answer;
whoever goes in is on record, and so is every change that is made there. Others are led to our own history.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import APIRouter, Depends, Request
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response, StreamingResponse

from platform_api.audit.actions import Action
from platform_api.domain.errors import NotAllowed, Unavailable
from platform_api.settings import Settings
from platform_api.use_cases import prefect_door
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import admit
from platform_api.web.session import CallerDependency, ServicesDependency, page
from rbac.permissions import Permission

#: Prefect's pages send no anti-forgery token of ours; ``from_these_pages`` stands in its place.
router = APIRouter(include_in_schema=False)

PREFIX = "/prefect"
_SAFE = ("GET", "HEAD", "OPTIONS")
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")

#: What belongs to one hop, or to us: the session must not reach Prefect.
_NOT_SENT = frozenset(
    {"host", "cookie", "authorization", "x-api-key", "x-csrf-token", "connection", "keep-alive", "te", "upgrade"}
    | {"transfer-encoding", "content-length", "proxy-authorization", "origin", "referer"}
)
_NOT_RETURNED = frozenset(
    {"set-cookie", "connection", "keep-alive", "transfer-encoding", "server", "date", "www-authenticate"}
)

_TIMEOUT = httpx.Timeout(30.0, connect=3.0)


async def from_these_pages(request: Request, services: ServicesDependency) -> None:
    """Refuse a change that another site sent: a browser names the sender's origin with every one."""
    if request.method in _SAFE:
        return
    own = {_origin(services.settings.base_url), f"{request.url.scheme}://{request.headers.get('host', '')}"}
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.get("origin") not in own or site != "same-origin":
        raise NotAllowed("This request came from another site.")


async def known(request: Request, services: ServicesDependency, caller: CallerDependency) -> None:
    """Refuse people without the permission; who opens a page is led to what they may see. Either is on record."""
    try:
        await admit(services, caller, Permission.PREFECT_USE)
    except NotAllowed as refusal:
        if _is_navigation(request):
            raise LedElsewhere from refusal
        raise


class LedElsewhere(Exception):
    """The reader may not go in, and finds our own history instead."""


async def to_our_history(request: Request, error: Exception) -> Response:
    """The executions of the jobs that the reader may see."""
    return RedirectResponse("/executions", 303)


def _declared(action: Action | None = None) -> dict[str, Any]:
    """What a page declares; ``known`` stands in the place of its check, so that a refusal is on record once."""
    return page(Permission.PREFECT_USE, action) | {"dependencies": [Depends(known), Depends(from_these_pages)]}


@router.get(PREFIX, name="prefect", **_declared())
async def entrance() -> Response:
    """Prefect's pages begin behind the slash."""
    return RedirectResponse(f"{PREFIX}/", 307)


@router.api_route(PREFIX + "/{rest:path}", methods=list(_SAFE), **_declared())
@router.api_route(PREFIX + "/{rest:path}", methods=list(_CHANGING), **_declared(Action.PREFECT_CHANGED))
async def through(request: Request, services: ServicesDependency, caller: CallerDependency, rest: str) -> Response:
    """One request to Prefect's server, and its answer as it comes."""
    settings = services.settings
    if rest == "ui-settings":
        return await _ui_settings(request, settings)
    if _is_navigation(request):
        await prefect_door.enter(services, caller, request.url.path)
    elif _changes_something(request, rest):
        await prefect_door.change(services, caller, request.method, request.url.path)
    return await _passed_on(request, settings, caller)


async def _passed_on(request: Request, settings: Settings, caller: Caller) -> Response:
    client = _client(request)
    asked = client.build_request(
        request.method,
        _address(request, settings),
        headers=_headers(request, settings),
        content=request.stream() if request.method not in _SAFE else None,
        timeout=_TIMEOUT,
    )
    try:
        answer = await client.send(asked, stream=True, follow_redirects=False)
    except httpx.TransportError as error:
        raise Unavailable("Prefect does not answer now; jobs that are claimed already run all the same.") from error
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_RETURNED}
    if "location" in headers:
        headers["location"] = _back_here(headers["location"], settings)
    headers["Content-Security-Policy"] = content_security_policy(settings)
    closing = BackgroundTask(answer.aclose)
    return StreamingResponse(_content(answer), answer.status_code, headers, background=closing)


async def _content(answer: httpx.Response) -> AsyncIterator[bytes]:
    # As it came, compressed or not: the browser said what it can read.
    async for chunk in answer.aiter_raw():
        yield chunk


async def _ui_settings(request: Request, settings: Settings) -> Response:
    """What Prefect's pages ask first: where the API is, and whether to ask for a password (we have it)."""
    try:
        answer = await _client(request).get(
            _address(request, settings), headers=_headers(request, settings), timeout=_TIMEOUT
        )
        found: Mapping[str, Any] = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable("Prefect's pages are not there; its server was started without /prefect.") from error
    told = {**found, "api_url": f"{settings.base_url.rstrip('/')}{PREFIX}/api", "auth": None}
    return Response(json.dumps(told), media_type="application/json", headers={"Cache-Control": "no-store"})


def content_security_policy(settings: Settings) -> str:
    """Prefect's own scripts and their styles, and no request to anything but Prefect: not even to our API."""
    base = settings.base_url.rstrip("/")
    sockets = base.replace("http", "ws", 1)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {base}{PREFIX}/ 'wasm-unsafe-eval'",
            f"style-src {base}{PREFIX}/ 'unsafe-inline'",
            "img-src 'self' data: blob:",
            f"font-src {base}{PREFIX}/ data:",
            f"connect-src {base}{PREFIX}/ {sockets}{PREFIX}/",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def _client(request: Request) -> httpx.AsyncClient:
    """One for the process. It keeps no connection: to a neighbour a new one costs little, and none is left open."""
    state = request.app.state
    if getattr(state, "prefect_client", None) is None:
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=0)
        state.prefect_client = httpx.AsyncClient(trust_env=False, limits=limits)
    client: httpx.AsyncClient = state.prefect_client
    return client


def _address(request: Request, settings: Settings) -> str:
    """Prefect's pages are under ``/prefect`` there, too; its API is where it always was."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    path = raw.decode("ascii").partition("?")[0]
    query = f"?{request.url.query}" if request.url.query else ""
    api = settings.prefect_api_url.rstrip("/")
    if path.startswith(f"{PREFIX}/api/"):
        return api + path.removeprefix(f"{PREFIX}/api") + query
    return api.removesuffix("/api") + path + query


def _headers(request: Request, settings: Settings) -> dict[str, str]:
    kept = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_SENT}
    auth = settings.prefect_auth_string
    if auth is not None:
        kept["Authorization"] = f"Basic {base64.b64encode(auth.get_secret_value().encode()).decode()}"
    return kept


def _back_here(location: str, settings: Settings) -> str:
    """A redirect stays behind the door."""
    parts = urlsplit(location)
    path = parts.path if parts.path.startswith(f"{PREFIX}/") else f"{PREFIX}/"
    return path + (f"?{parts.query}" if parts.query else "")


def _is_navigation(request: Request) -> bool:
    """Whether a person opens a page, and not a page its parts."""
    destination = request.headers.get("sec-fetch-dest")
    wants_html = "text/html" in request.headers.get("accept", "")
    return request.method == "GET" and (destination == "document" if destination else wants_html)


#: Prefect asks many questions by POST; the last word of their address tells.
_QUESTIONS = (
    "filter",
    "count",
    "paginate",
    "history",
    "lateness",
    "next-runs",
    "count-task-runs",
    "get_scheduled_flow_runs",
)


def _changes_something(request: Request, rest: str) -> bool:
    asks = request.method == "POST" and (rest.rpartition("/")[2] in _QUESTIONS or rest.startswith("api/ui/"))
    return request.method not in _SAFE and not asks


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
