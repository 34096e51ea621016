"""Accounts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from platform_api.audit.actions import Action
from platform_api.ports.people import Person, PersonFilter
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.jobs import IfMatch, etags
from platform_api.rest.moments import as_json
from platform_api.rest.paging import PageQuery, decode_name_cursor, encode_cursor, page_of
from platform_api.use_cases import users
from platform_api.use_cases.ownership import Fate
from platform_api.use_cases.users import PersonWish, etag_of
from rbac.permissions import Permission
from rbac.principal import PermissionSet, Role

router = APIRouter(tags=["users"])

HeirQuery = Annotated[str | None, Query(description="The e-mail address of the job creator who gets their jobs.")]


class UsersQuery(PageQuery):
    """Filters of the list."""

    role: Role | None = None
    team: Annotated[str | None, Field(description="A team's name.")] = None
    active: bool | None = None
    has_jobs: Annotated[
        bool | None, Field(description="With `active=false`: people who have left and whose jobs still run.")
    ] = None
    q: Annotated[str | None, Field(max_length=200, description="Part of a name or address.")] = None

    def wanted(self) -> PersonFilter:
        """The filters as the use case takes them."""
        refuse_unstorable(self.model_dump(mode="json"))
        role = self.role.value if self.role else None
        return PersonFilter(role, self.team, self.active, self.has_jobs, self.q)


class UserBody(BaseModel):
    """What is to change about an account; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    team: Annotated[str | None, Field(description="The name of the team whose member the person is to be.")] = None
    active: Annotated[bool | None, Field(strict=True)] = None
    viewer_of: Annotated[
        list[str] | None, Field(max_length=100, description="Further teams whose jobs the person may look at.")
    ] = None
    permission_sets: Annotated[list[PermissionSet] | None, Field(description="Besides the role.")] = None
    jobs: Annotated[
        Fate, Field(description="Of a person who is deactivated: their jobs go on, are disabled, or are deleted.")
    ] = Fate.KEEP
    hand_over_to: Annotated[
        str | None, Field(description="Instead: the address of the job creator who gets all of them.")
    ] = None
    version: Annotated[int | None, Field(strict=True, description="412 when it is not the stored one.")] = None
    email: Annotated[
        str | None, Field(description="Comes from the identity provider; a GET's answer may repeat it.")
    ] = None
    name: Annotated[str | None, Field(description="As `email`.")] = None
    # What else a GET answers, so that its answer can be changed and sent back.
    id: Annotated[Any, Field(exclude=True)] = None
    job_count: Annotated[Any, Field(exclude=True)] = None
    created_at: Annotated[Any, Field(exclude=True)] = None

    def wish(self) -> PersonWish:
        """For the use case; refuses what could not be stored."""
        refuse_unstorable(self.model_dump(mode="json"))
        return PersonWish(
            role=self.role,
            team=self.team,
            is_active=self.active,
            viewer_of=None if self.viewer_of is None else frozenset(self.viewer_of),
            permission_sets=None if self.permission_sets is None else frozenset(self.permission_sets),
            jobs=self.jobs,
            hand_over_to=self.hand_over_to,
            version=self.version,
            email=self.email,
            name=self.name,
        )


def user_json(person: Person) -> dict[str, Any]:
    """An account."""
    return as_json(
        {
            "id": person.id,
            "email": person.email,
            "name": person.display_name,
            "role": person.role,
            "team": person.team,
            "active": person.is_active,
            "viewer_of": person.viewer_of,
            "permission_sets": person.permission_sets,
            "job_count": person.jobs,
            "version": person.version,
            "created_at": person.created_at,
        }
    )


def _answer(person: Person) -> Response:
    return JSONResponse(user_json(person), headers={"ETag": etag_of(person)})


@router.get("/users", **door(Permission.USER_LIST))
async def list_users(
    services: ServicesDependency, caller: CallerDependency, query: Annotated[UsersQuery, Query()]
) -> dict[str, Any]:
    """The accounts, by e-mail address."""
    after = decode_name_cursor(query.cursor)
    found = await users.page(services, caller, query.wanted(), after, query.limit + 1)
    return page_of(found, query.limit, user_json, lambda person: encode_cursor(person.email.lower(), str(person.id)))


@router.get("/users/me", **door(Permission.PROFILE_VIEW))
async def who_am_i(services: ServicesDependency, caller: CallerDependency) -> dict[str, Any]:
    """The account behind the credentials of this request."""
    scopes = caller.principal.scopes
    person = await users.me(services, caller)
    return {**user_json(person), "scopes": sorted(scopes) if scopes is not None else None}


@router.get("/users/{user_id}", **door(Permission.USER_VIEW))
async def get_user(services: ServicesDependency, caller: CallerDependency, user_id: UUID) -> Response:
    """One account: your own, or any for an administrator."""
    return _answer(await users.get(services, caller, user_id))


@router.put("/users/{user_id}", **door(Permission.USER_EDIT, Action.USER_UPDATED))
async def change_user(
    services: ServicesDependency, caller: CallerDependency, user_id: UUID, body: UserBody, if_match: IfMatch = None
) -> Response:
    """Change role, team and what else the person may do, or (de)activate them; what is left out stays."""
    return _answer(await users.edit(services, caller, user_id, body.wish(), etags(if_match)))


@router.get("/users/{user_id}/export", **door(Permission.USER_EXPORT, Action.USER_EXPORTED))
async def export_user(services: ServicesDependency, caller: CallerDependency, user_id: UUID) -> Response:
    """Everything that is stored about a person, as one JSON document; values that open doors are left out."""
    rows = await users.export(services, caller, user_id)
    headers = {"Content-Disposition": f'attachment; filename="user-{user_id}.json"'}
    return StreamingResponse(document(rows), media_type="application/json", headers=headers)


@router.delete("/users/{user_id}", status_code=204, **door(Permission.USER_ERASE, Action.USER_ERASED))
async def erase_user(
    services: ServicesDependency,
    caller: CallerDependency,
    user_id: UUID,
    hand_over_to: HeirQuery = None,
    if_match: IfMatch = None,
) -> Response:
    """Forget a person for good: their jobs are handed over or deleted, and history keeps a number for their name."""
    refuse_unstorable({"hand_over_to": hand_over_to})
    await users.erase(services, caller, user_id, hand_over_to, etags(if_match))
    return Response(status_code=204)


async def document(rows: AsyncIterator[tuple[str, Mapping[str, Any] | None]]) -> AsyncIterator[str]:
    """``{"section": [row, ...], ...}``, a row at a time."""
    yield "{"
    section_ends, row_begins = "", ""
    async for section, row in rows:
        if row is None:
            yield f"{section_ends}\n{json.dumps(section)}: ["
            section_ends, row_begins = "],", "\n"
        else:
            yield row_begins + json.dumps(as_json(dict(row)))
            row_begins = ",\n"
    yield "]\n}\n" if section_ends else "}\n"
