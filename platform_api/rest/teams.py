"""Teams."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from platform_api.audit.actions import Action
from platform_api.ports.teams import Team
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.jobs import IdempotencyKey, IfMatch, etags
from platform_api.rest.moments import as_json
from platform_api.rest.paging import PageDependency, decode_name_cursor, encode_cursor, page_of
from platform_api.use_cases import teams
from platform_api.use_cases.teams import etag_of
from rbac.permissions import Permission

router = APIRouter(tags=["teams"])


class TeamBody(BaseModel):
    """A team."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(description="1 to 100 characters; no two teams differ by case only.")]
    version: Annotated[int | None, Field(description="The version that a change is meant for; 412 if stale.")] = None
    # What else a GET answers, so that its answer can be changed and sent back.
    id: Annotated[Any, Field(exclude=True)] = None
    members: Annotated[Any, Field(exclude=True)] = None
    jobs: Annotated[Any, Field(exclude=True)] = None
    created_at: Annotated[Any, Field(exclude=True)] = None

    def checked_name(self) -> str:
        """The name; refuses what could not be stored."""
        refuse_unstorable(self.model_dump())
        return self.name


def team_json(team: Team) -> dict[str, Any]:
    """A team."""
    return as_json(
        {
            "id": team.id,
            "name": team.name,
            "members": team.members,
            "jobs": team.jobs,
            "version": team.version,
            "created_at": team.created_at,
        }
    )


def _answer(team: Team, status: int = 200) -> Response:
    headers = {"ETag": etag_of(team)}
    if status == 201:
        headers["Location"] = f"/api/v1/teams/{team.id}"
    return JSONResponse(team_json(team), status, headers)


@router.get("/teams", **door(Permission.TEAM_LIST))
async def list_teams(page: PageDependency, services: ServicesDependency, caller: CallerDependency) -> dict[str, Any]:
    """The teams, by name."""
    found = await teams.page(services, caller, decode_name_cursor(page.cursor), page.limit + 1)
    return page_of(found, page.limit, team_json, lambda team: encode_cursor(team.name.lower(), str(team.id)))


@router.get("/teams/{team_id}", **door(Permission.TEAM_LIST))
async def get_team(services: ServicesDependency, caller: CallerDependency, team_id: UUID) -> Response:
    """One team."""
    return _answer(await teams.get(services, caller, team_id))


@router.post("/teams", status_code=201, **door(Permission.TEAM_EDIT, Action.TEAM_CREATED))
async def create_team(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    body: TeamBody,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a team."""
    name = body.checked_name()
    return await once(request, caller, lambda who: teams.create(services, who, name), lambda team: _answer(team, 201))


@router.put("/teams/{team_id}", **door(Permission.TEAM_EDIT, Action.TEAM_UPDATED))
async def rename_team(
    services: ServicesDependency, caller: CallerDependency, team_id: UUID, body: TeamBody, if_match: IfMatch = None
) -> Response:
    """Give a team another name; its people and jobs stay in it."""
    name = body.checked_name()
    return _answer(await teams.rename(services, caller, team_id, name, body.version, etags(if_match)))


@router.delete("/teams/{team_id}", status_code=204, **door(Permission.TEAM_EDIT, Action.TEAM_DELETED))
async def delete_team(
    services: ServicesDependency, caller: CallerDependency, team_id: UUID, if_match: IfMatch = None
) -> Response:
    """Delete an empty team; 409 names what still belongs to it."""
    await teams.delete(services, caller, team_id, etags(if_match))
    return Response(status_code=204)
