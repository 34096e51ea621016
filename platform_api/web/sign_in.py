"""Sign-in and sign-out: ``/login`` leads to the identity provider, ``/auth/callback`` back from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Query, Request
from starlette.responses import RedirectResponse, Response

from platform_api.audit.actions import Action
from platform_api.ports.identity import ProviderAway, SignInRefused
from platform_api.settings import Settings
from platform_api.use_cases import sessions
from platform_api.use_cases.accounts import NoAccount
from platform_api.use_cases.authentication import Origin
from platform_api.use_cases.services import Services
from platform_api.use_cases.sign_in import HOLDS_FOR, arrive, leave
from platform_api.web import pages_of_sign_in as shown
from platform_api.web.loopback_hosts import is_loopback_host
from platform_api.web.session import (
    CallerDependency,
    ServicesDependency,
    address,
    cookie_name,
    is_https,
    login_address,
    page,
    pages,
    session_token,
    user_agent,
)
from rbac.permissions import Permission

#: Open to everybody: here people get their session.
router = APIRouter(include_in_schema=False)

#: With a session, as every other page.
session_router = pages()

LONGEST_NEXT = 2000

_UNDER_WAY = "job_platform_sign_in"

#: They would lead into a circle.
_NOT_NEXT = ("/login", "/logout", "/auth/")


@router.get("/login")
async def login(
    request: Request, services: ServicesDependency, given: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """To the identity provider, and from there back to ``next``; straight to ``next`` where there is a session."""
    next_path = local_path(given)
    elsewhere = _other_loopback_name(request, services.settings)
    if elsewhere is not None:
        return _redirect(elsewhere + login_address(next_path))
    token = session_token(request)
    if token and await sessions.resume(services, token) is not None:
        return _redirect(next_path)
    try:
        leaving = await leave(services, callback_address(services.settings), next_path)
    except ProviderAway as away:
        return shown.maintenance(request, away, next_path)
    answer = _redirect(leaving.address)
    _set_cookie(answer, services.settings, _UNDER_WAY, leaving.token, seconds=int(HOLDS_FOR.total_seconds()))
    return answer


@router.get("/auth/callback")
async def callback(request: Request, services: ServicesDependency) -> Response:
    """Back from the provider: a new session, or the reason why there is none."""
    under_way = request.cookies.get(cookie_name(services.settings, _UNDER_WAY))
    try:
        arrived = await arrive(
            services, under_way, dict(request.query_params), _origin(request), session_token(request)
        )
    except ProviderAway as away:
        answer = shown.maintenance(request, away, "/")
    except SignInRefused as refusal:
        answer = shown.refused(request, 400, "Sign-in did not work", str(refusal))
    except NoAccount as refusal:
        answer = shown.refused(request, 403, "Why can't I see this?", str(refusal))
    else:
        answer = _redirect(local_path(arrived.next))
        _set_cookie(answer, services.settings, None, arrived.session_token)
    _delete_cookie(answer, services.settings, _UNDER_WAY)
    return answer


@router.get("/logout")
async def signed_out(request: Request, services: ServicesDependency) -> Response:
    """Where sign-out ends; with a session that still holds, the question whether to end it."""
    token = session_token(request)
    still_in = token is not None and await sessions.resume(services, token) is not None
    return shown.signed_out(request, still_in)


@session_router.post("/logout", **page(Permission.PROFILE_VIEW, Action.SIGNED_OUT))
async def logout(request: Request, services: ServicesDependency, caller: CallerDependency) -> Response:
    """End the session here, then at the identity provider."""
    await sessions.sign_out(services, caller, session_token(request) or "")
    there = await services.identity.sign_out_address(f"{_base(services.settings)}/logout")
    answer = _redirect(there or "/logout")
    _delete_cookie(answer, services.settings, None)
    return answer


@router.get("/login/style.css")
async def style() -> Response:
    """How the pages of sign-in look; they must not depend on anything that could be away."""
    return shown.style()


def callback_address(settings: Settings) -> str:
    """Where the provider sends people back to; it is registered there."""
    return f"{_base(settings)}/auth/callback"


def form_targets(app: FastAPI) -> Callable[[], tuple[str, ...]]:
    """Where the answer to a form may lead besides here: to the provider, at sign-out."""

    def origins() -> tuple[str, ...]:
        services: Services | None = getattr(app.state, "services", None)
        return services.identity.origins() if services is not None else ()

    return origins


def local_path(given: str) -> str:
    """``given`` where it is a path of ours, else the start page: nobody is led elsewhere by signing in.

    Browsers drop tabs and line ends from an address and take a backslash for a slash, so none of these may be in it.
    """
    if not given.startswith("/") or given.startswith("//") or len(given) > LONGEST_NEXT:
        return "/"
    if "\\" in given or not given.isprintable() or given.startswith(_NOT_NEXT):
        return "/"
    return given


def _base(settings: Settings) -> str:
    return settings.base_url.rstrip("/")


def _other_loopback_name(request: Request, settings: Settings) -> str | None:
    """The base address, when the browser used another of this machine's own names: cookies belong to one name.

    Only between loopback names: a proxy may well pass on a name of its own.
    """
    base = urlsplit(settings.base_url)
    given = request.headers.get("host", "")
    if given == base.netloc or not (is_loopback_host(given) and is_loopback_host(base.netloc)):
        return None
    return _base(settings)


def _origin(request: Request) -> Origin:
    return Origin(request.state.request_id, address(request), user_agent(request))


def _redirect(to: str) -> Response:
    return RedirectResponse(to, 303, headers={"Cache-Control": "no-store"})


def _set_cookie(answer: Response, settings: Settings, name: str | None, value: str, seconds: int | None = None) -> None:
    """A cookie that scripts cannot read and other sites' requests do not carry.

    The session's own has no age: the server decides how long it holds, a closed browser forgets it.
    """
    full_name = cookie_name(settings, name) if name else cookie_name(settings)
    answer.set_cookie(
        full_name, value, max_age=seconds, path="/", secure=is_https(settings), httponly=True, samesite="lax"
    )


def _delete_cookie(answer: Response, settings: Settings, name: str | None) -> None:
    full_name = cookie_name(settings, name) if name else cookie_name(settings)
    answer.delete_cookie(full_name, path="/", secure=is_https(settings), httponly=True, samesite="lax")
