"""Who looks at a page. Until there is a session, an API key in the header ``X-API-Key`` says so."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request

from platform_api.audit.actions import Action
from platform_api.domain.errors import NotAuthenticated
from platform_api.domain.executions import TriggeredBy
from platform_api.use_cases.authentication import Origin, identify
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import admit
from platform_api.use_cases.services import Services
from rbac.permissions import UNBOUND, Permission


def services(request: Request) -> Services:
    """The process's services."""
    return cast(Services, request.app.state.services)


async def signed_in(request: Request) -> Caller:
    """The person behind the request, established once; raises ``NotAuthenticated``."""
    known = getattr(request.state, "caller", None)
    if isinstance(known, Caller):
        return known
    key = request.headers.get("x-api-key")
    if key is None:
        raise NotAuthenticated("Sign in first.")
    principal = await identify(services(request), key, Origin(request.state.request_id, None, None))
    caller = Caller(principal, request.state.request_id, via=TriggeredBy.MANUAL)
    request.state.caller = caller
    return caller


def csrf_token(request: Request) -> str:
    """What a form must send back."""
    return ""


def pages(**options: Any) -> APIRouter:
    """A router for pages: everything on it needs somebody who is signed in."""
    return APIRouter(dependencies=[Depends(signed_in)], include_in_schema=False, **options)


def page(permission: Permission, action: Action | None = None) -> dict[str, Any]:
    """What every page declares, as ``rest.dependencies.door`` does for the API."""
    shown: dict[str, Any] = {"x-permission": permission.value}
    if action is not None:
        shown["x-audit-action"] = action.value

    async def admitted(request: Request) -> None:
        if permission in UNBOUND:
            await admit(services(request), await signed_in(request), permission)

    return {"dependencies": [Depends(admitted)], "openapi_extra": shown}


ServicesDependency = Annotated[Services, Depends(services)]
CallerDependency = Annotated[Caller, Depends(signed_in)]
