"""Accounts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door
from platform_api.use_cases import users
from rbac.permissions import Permission

router = APIRouter(tags=["users"])


@router.get("/users/me", **door(Permission.PROFILE_VIEW))
async def who_am_i(services: ServicesDependency, caller: CallerDependency) -> dict[str, Any]:
    """The account behind the credentials of this request."""
    person = await users.me(services, caller)
    return {
        "id": str(person.id),
        "email": person.email,
        "name": person.display_name,
        "role": person.role,
        "team": person.team,
        "scopes": sorted(caller.principal.scopes) if caller.principal.scopes is not None else None,
        "created_at": person.created_at,
    }
