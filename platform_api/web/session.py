"""Who looks at a page, and that a change comes from one of our own pages.

A room of pages begins with ``router = pages()``; everything on it needs a session, and every method that changes
something needs the session's anti-forgery token, without another word::

    router = pages()

    @router.post("/jobs/{job_id}/run", **page(Permission.JOB_RUN, Action.JOB_RUN))
    async def run(services: ServicesDependency, caller: CallerDependency, job_id: str) -> Response: ...

Templates send ``csrf_token(request)`` as the form field ``CSRF_FIELD``; scripts send it as the header ``CSRF_HEADER``.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, cast
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Request

from platform_api.audit.actions import Action
from platform_api.domain.errors import NotAllowed
from platform_api.domain.executions import TriggeredBy
from platform_api.identity.sessions import csrf_token_holds, csrf_token_of
from platform_api.settings import Settings
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import admit
from platform_api.use_cases.services import Services
from platform_api.use_cases.sessions import resume
from rbac.permissions import UNBOUND, Permission

#: Name of the form field, and of the header, that carry a session's anti-forgery token.
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"

#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_COOKIE = "job_platform_session"
_LONGEST_USER_AGENT = 500
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class SignInNeeded(Exception):
    """There is no session: the browser goes to ``/login`` and comes back to ``next``."""

    def __init__(self, next_path: str) -> None:
        self.next_path = next_path
        super().__init__("Sign in first.")


class Forged(NotAllowed):
    """A change that does not come from one of the session's own pages."""


def services(request: Request) -> Services:
    """The process's services."""
    return cast(Services, request.app.state.services)


def is_https(settings: Settings) -> bool:
    """Whether people reach the platform over TLS."""
    return urlsplit(settings.base_url).scheme == "https"


def cookie_name(settings: Settings, name: str = _COOKIE) -> str:
    """The cookie's name: over https with the prefix that binds it to this host, this path and TLS."""
    return f"__Host-{name}" if is_https(settings) else name


def session_token(request: Request) -> str | None:
    """What the browser's session cookie holds, known or not."""
    return request.cookies.get(cookie_name(services(request).settings))


async def signed_in(request: Request) -> Caller:
    """The person behind the session, established once per request; raises ``SignInNeeded`` without one."""
    known = getattr(request.state, "caller", None)
    if isinstance(known, Caller):
        return known
    token = session_token(request)
    principal = await resume(services(request), token) if token else None
    if principal is None:
        raise SignInNeeded(_address_to_come_back_to(request))
    request.state.caller = caller = Caller(
        principal, request.state.request_id, address(request), user_agent(request), via=TriggeredBy.MANUAL
    )
    return caller


def csrf_token(request: Request) -> str:
    """The session's anti-forgery token, for the forms of a page; empty where nobody is signed in."""
    token = session_token(request)
    return csrf_token_of(token) if token else ""


async def protected(request: Request) -> None:
    """What every page of ``pages()`` goes through: a session, and for a change the proof that it is ours.

    A change is refused when the browser says that another site sent it, and when the anti-forgery token is not the
    session's: the second is what protects, the first needs nothing from the page.
    """
    await signed_in(request)
    if request.method in SAFE_METHODS:
        return
    if not _from_our_own_page(request):
        raise Forged("This request came from another site.")
    if not csrf_token_holds(session_token(request) or "", await _given_csrf_token(request)):
        raise Forged("This form is out of date: load the page again and repeat what you did.")


def pages(**options: Any) -> APIRouter:
    """A router for pages: with a session and, for changes, the anti-forgery token; not in the API's document."""
    return APIRouter(dependencies=[Depends(protected)], include_in_schema=False, **options)


def page(permission: Permission, action: Action | None = None) -> dict[str, Any]:
    """What every page declares, as ``rest.dependencies.door`` does for the API.

    ``permission`` is checked here already where it needs no resource; ``action`` is what a page that changes
    something leaves in the audit trail.
    """
    shown: dict[str, Any] = {"x-permission": permission.value}
    if action is not None:
        shown["x-audit-action"] = action.value

    async def admitted(request: Request) -> None:
        if permission in UNBOUND:
            await admit(services(request), await signed_in(request), permission)

    return {"dependencies": [Depends(admitted)], "openapi_extra": shown}


ServicesDependency = Annotated[Services, Depends(services)]
CallerDependency = Annotated[Caller, Depends(signed_in)]


def address(request: Request) -> str | None:
    """Where the request comes from, in the form that the trail stores; a unix socket has none."""
    try:
        return str(ipaddress.ip_address((request.client.host if request.client else "").partition("%")[0]))
    except ValueError:
        return None


def user_agent(request: Request) -> str | None:
    """What the browser calls itself, no longer than the trail keeps it."""
    return (request.headers.get("user-agent") or "")[:_LONGEST_USER_AGENT] or None


def login_address(next_path: str) -> str:
    """``/login`` that leads back to ``next_path``."""
    return "/login" if next_path == "/" else f"/login?next={quote(next_path, safe='/')}"


def _address_to_come_back_to(request: Request) -> str:
    """Where the person wanted to go; a change is not repeated by coming back, so it leads to the start."""
    if request.method not in ("GET", "HEAD"):
        return "/"
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _from_our_own_page(request: Request) -> bool:
    """What the browser itself says about the page that sent this; a client that says nothing has no cookies."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    own = {_origin(services(request).settings.base_url), f"{request.url.scheme}://{request.headers.get('host', '')}"}
    return origin is None or origin in own


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _given_csrf_token(request: Request) -> str:
    given = request.headers.get(CSRF_HEADER)
    if given is not None:
        return given
    if not request.headers.get("content-type", "").lower().startswith(_FORMS):
        return ""
    field = (await request.form()).get(CSRF_FIELD)
    return field if isinstance(field, str) else ""
