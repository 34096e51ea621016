"""What a handler may ask for: the services, who calls, and what its address demands."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent, NotAuthenticated
from platform_api.ports.idempotency import Answer
from platform_api.rest.errors import MEDIA_TYPE
from platform_api.use_cases.authentication import Origin, identify, record_failure
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import admit
from platform_api.use_cases.once import Once
from platform_api.use_cases.services import Services
from platform_api.use_cases.sign_in import identify_bearer
from rbac.permissions import UNBOUND, Permission

_LONGEST_KEY = 255
_LONGEST_USER_AGENT = 500

Result = TypeVar("Result")


def services(request: Request) -> Services:
    """The process's services."""
    return cast(Services, request.app.state.services)


async def authenticated(request: Request) -> Caller:
    """The caller behind the request's key or token, established once per request; 401 without one that holds."""
    known = getattr(request.state, "caller", None)
    if isinstance(known, Caller):
        return known
    origin = _origin(request)
    token = await _bearer_token(request, origin)
    if token is not None:
        principal = await identify_bearer(services(request), token, origin)
    else:
        principal = await identify(services(request), _api_key(request), origin)
    request.state.caller = Caller(principal, origin.request_id, origin.ip_address, origin.user_agent)
    return cast(Caller, request.state.caller)


ServicesDependency = Annotated[Services, Depends(services)]
CallerDependency = Annotated[Caller, Depends(authenticated)]


async def _bearer_token(request: Request, origin: Origin) -> str | None:
    """The token of the identity provider's that the request brings, if it brings one; refuses two credentials."""
    given = request.headers.getlist("authorization")
    if len(given) + len(request.headers.getlist("x-api-key")) > 1:
        raise NotAuthenticated("Send one credential: either X-API-Key or Authorization: Bearer.")
    if not given:
        return None
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    reason = "Of Authorization headers only `Bearer <token>` is taken."
    await record_failure(services(request), origin, reason, "")
    raise NotAuthenticated(reason)


def _api_key(request: Request) -> str:
    given = request.headers.get("x-api-key")
    if given is None:
        raise NotAuthenticated("Send your API key in the header X-API-Key, or Authorization: Bearer <token>.")
    return given


def _origin(request: Request) -> Origin:
    agent = request.headers.get("user-agent")
    return Origin(
        request_id=request.state.request_id,
        ip_address=_address(request.client.host if request.client else None),
        user_agent=agent[:_LONGEST_USER_AGENT] if agent else None,
    )


def _address(host: str | None) -> str | None:
    """The address in the form that the trail stores; a unix socket or a test has none."""
    try:
        return str(ipaddress.ip_address((host or "").partition("%")[0]))
    except ValueError:
        return None


def door(permission: Permission, action: Action | None = None, body: type[BaseModel] | None = None) -> dict[str, Any]:
    """What every route declares: ``@router.post("/jobs", **door(Permission.JOB_CREATE, Action.JOB_CREATED))``.

    ``permission`` is checked here already where it needs no resource (the use case checks it again, with the
    resource); ``action`` is what a route that changes something leaves in the audit trail. Both are shown in the
    OpenAPI document and a test demands them of every route. ``body`` names the shape of a body that the handler
    reads itself (see ``rest.docs``).
    """
    shown: dict[str, Any] = {"x-permission": permission.value}
    if action is not None:
        shown["x-audit-action"] = action.value
    if body is not None:
        shown["x-body"] = body.__name__

    async def admitted(request: Request) -> None:
        caller = await authenticated(request)
        if permission in UNBOUND:
            await admit(services(request), caller, permission)

    return {"dependencies": [Depends(admitted)], "openapi_extra": shown, "responses": {"default": PROBLEM}}


#: Every route's answer when something is wrong, for the OpenAPI document.
PROBLEM: dict[str, Any] = {
    "description": "What is wrong, as RFC 9457 problem details.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


async def once(
    request: Request,
    caller: Caller,
    act: Callable[[Caller], Awaitable[Result]],
    render: Callable[[Result], Response],
) -> Response:
    """Do ``act`` and render its result; with an ``Idempotency-Key``, at most once in 24 hours.

    ``act`` gets the caller to pass to its use case, which takes the key in its own transaction (``guarded``) and
    keeps a first answer there (``remember``); the finished answer replaces it here.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return render(await act(caller))
    mark = Once(_checked(key), await _request_hash(request), lambda result: _answer(render(result)))
    result = await act(replace(caller, once=mark))
    async with services(request).uow() as uow:
        await mark.keep(uow, caller.principal, result)
    return render(result)


def _checked(key: str) -> str:
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise InvalidContent.of("Idempotency-Key", f"must be 1 to {_LONGEST_KEY} printable characters")
    return key


async def _request_hash(request: Request) -> bytes:
    """What makes two requests the same: method, address and body."""
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(head + await request.body()).digest()


def _answer(response: Response) -> Answer:
    kept = ("content-type", "location", "etag")
    headers = {name: value for name, value in response.headers.items() if name in kept}
    return Answer(response.status_code, bytes(response.body), headers)
