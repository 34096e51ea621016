"""Teams: made, renamed and, once nothing is in them, deleted."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import Conflict, InvalidContent
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.paging import decode_name_cursor, encode_cursor
from platform_api.use_cases import teams
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.services import Services
from platform_api.web.answers import go
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()

PAGE = 100

Cursor = Annotated[str, Query(max_length=2000)]


class Named(BaseModel):
    """A team's name, and the version that the reader saw."""

    name: Annotated[str, Field(max_length=500)] = ""
    version: int | None = None


@router.get("/teams", **page(Permission.TEAM_LIST))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, cursor: Cursor = ""
) -> Response:
    """Every team, by name."""
    return await _page(request, services, caller, cursor=cursor)


@router.post("/teams", **page(Permission.TEAM_EDIT, Action.TEAM_CREATED))
async def create(
    request: Request, services: ServicesDependency, caller: CallerDependency, form: Annotated[Named, Form()]
) -> Response:
    """A new one, without anybody in it."""
    try:
        refuse_unstorable({"name": form.name})
        team = await teams.create(services, caller, form.name.strip())
    except InvalidContent as error:
        return await _page(request, services, caller, form.name, error.errors[0].message, 400)
    except Conflict as error:
        return await _page(request, services, caller, form.name, str(error), 409)
    return go("/teams", f"The team {team.name} is there. Put people into it on their own pages.")


@router.post("/teams/{team_id}/rename", **page(Permission.TEAM_EDIT, Action.TEAM_UPDATED))
async def rename(
    services: ServicesDependency, caller: CallerDependency, team_id: UUID, form: Annotated[Named, Form()]
) -> Response:
    """Another name, unless somebody else was faster."""
    refuse_unstorable({"name": form.name})
    team = await teams.rename(services, caller, team_id, form.name.strip(), form.version, None)
    return go("/teams", f"The team is called {team.name} now.")


@router.post("/teams/{team_id}/delete", **page(Permission.TEAM_EDIT, Action.TEAM_DELETED))
async def delete(services: ServicesDependency, caller: CallerDependency, team_id: UUID) -> Response:
    """Delete an empty one; the refusal names what is still in it."""
    await teams.delete(services, caller, team_id, None)
    return go("/teams", "The team is deleted.")


async def _page(
    request: Request,
    services: Services,
    caller: Caller,
    name: str = "",
    fault: str | None = None,
    status: int = 200,
    cursor: str = "",
) -> Response:
    found = await teams.page(services, caller, decode_name_cursor(cursor or None), PAGE + 1)
    context: dict[str, Any] = {
        "rows": found[:PAGE],
        "name": name,
        "fault": fault,
        "first": "/teams" if cursor else None,
        "next": None,
    }
    if len(found) > PAGE:
        last = found[PAGE - 1]
        context["next"] = f"/teams?{urlencode({'cursor': encode_cursor(last.name.lower(), str(last.id))})}"
    return render(request, "teams/page.html", status, **context)
