"""API keys: made here and shown once, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.ports.api_keys import EVERYTHING
from platform_api.rest.job_body import refuse_unstorable
from platform_api.use_cases import api_keys
from platform_api.use_cases.api_keys import HandedOver
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.services import Services
from platform_api.web.answers import go
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission
from rbac.principal import Role
from rbac.scopes import Scope

router = pages()

PAGE = 50

LIVES = ((7, "a week"), (30, "30 days"), (90, "90 days"), (365, "a year"))

#: What each scope lets a program do, beside its name.
SCOPE_WORDS = {scope.value: scope.value.replace("_", " ").replace(":", ": ") for scope in Scope}

#: Minutes that a rotated key goes on, so that nothing stops while the new one is brought to where it is used.
OVERLAPS = ((0, "at once"), (60, "in an hour"), (1440, "in a day"), (10_080, "in a week"))


class Wanted(BaseModel):
    """The form of a new key."""

    name: str = ""
    days: Annotated[int, Field(ge=1, le=3650)] = 90
    reach: str = "some"
    scopes: list[Scope] = []

    def chosen(self) -> list[str]:
        """The scopes; raises ``InvalidContent`` for what the page's own fields do not allow."""
        if not 1 <= len(self.name.strip()) <= 100:
            raise InvalidContent.of("name", "must be 1 to 100 characters")
        refuse_unstorable({"name": self.name})
        if self.reach == "all":
            return [EVERYTHING]
        if not self.scopes:
            raise InvalidContent.of("scopes", "choose what the key may do")
        return sorted(scope.value for scope in self.scopes)


class Turn(BaseModel):
    """How a key follows another."""

    overlap_minutes: Annotated[int, Field(ge=0, le=10_080)] = 60


@router.get("/api-keys", **page(Permission.KEY_LIST))
async def show(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    owner: Annotated[str, Query(max_length=320)] = "",
    before: UUID | None = None,
) -> Response:
    """The caller's keys, and the form for a new one; an administrator sees everybody's."""
    refuse_unstorable({"owner": owner})
    return await _page(request, services, caller, owner=owner, before=before)


@router.post("/api-keys", **page(Permission.KEY_CREATE, Action.KEY_CREATED))
async def create(
    request: Request, services: ServicesDependency, caller: CallerDependency, form: Annotated[Wanted, Form()]
) -> Response:
    """A new key. It stands in this answer and nowhere else, so the answer is the page itself."""
    try:
        expires_at = services.clock.now() + timedelta(days=form.days)
        made = await api_keys.create(services, caller, form.name.strip(), form.chosen(), expires_at)
    except InvalidContent as error:
        faults = {fault.field.replace("expires_at", "days"): fault.message for fault in error.errors}
        return await _page(request, services, caller, form, faults)
    return await _page(request, services, caller, made=made)


@router.post("/api-keys/{key_id}/rotate", **page(Permission.KEY_ROTATE, Action.KEY_ROTATED))
async def rotate(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    key_id: UUID,
    form: Annotated[Turn, Form()],
) -> Response:
    """A new key in the place of another, which goes on for a while."""
    made = await api_keys.rotate(services, caller, key_id, form.overlap_minutes, None)
    return await _page(request, services, caller, made=made)


@router.post("/api-keys/{key_id}/revoke", **page(Permission.KEY_REVOKE, Action.KEY_REVOKED))
async def revoke(services: ServicesDependency, caller: CallerDependency, key_id: UUID) -> Response:
    """End a key at once."""
    await api_keys.revoke(services, caller, key_id)
    return go("/api-keys", "The key is revoked: whatever still uses it is refused from now on.")


async def _page(
    request: Request,
    services: Services,
    caller: Caller,
    form: Wanted | None = None,
    faults: dict[str, str] | None = None,
    made: HandedOver | None = None,
    owner: str = "",
    before: UUID | None = None,
) -> Response:
    found = await api_keys.page(services, caller, owner or None, before, PAGE + 1)
    asked = {"owner": owner} if owner else {}
    context: dict[str, Any] = {
        "rows": found[:PAGE],
        "form": form or Wanted(),
        "faults": faults or {},
        "made": made,
        "owner": owner,
        "me": caller.principal.user_id,
        "sees_all": caller.principal.role is Role.ADMIN,
        "scope_words": SCOPE_WORDS,
        "lives": [life for life in LIVES if life[0] <= services.settings.api_key_max_days],
        "overlaps": OVERLAPS,
        "everything": EVERYTHING,
        "first": f"/api-keys?{urlencode(asked)}" if before else None,
        "next": None,
    }
    if len(found) > PAGE:
        context["next"] = f"/api-keys?{urlencode({**asked, 'before': str(found[PAGE - 1].id)})}"
    return render(request, "api_keys/page.html", 400 if faults else 201 if made else 200, **context)
