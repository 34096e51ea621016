"""The policy as a condition of a query, so that a list holds what ``rbac.policy.decide`` would show one by one."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, false, or_, true

from platform_api.db.schema import jobs
from rbac.permissions import Permission
from rbac.principal import Principal
from rbac.roles import Reach, granted, viewed_teams


def visible_to(
    principal: Principal,
    permission: Permission = Permission.JOB_VIEW,
    owner: ColumnElement[UUID] = jobs.c.owner_id,
    team: ColumnElement[UUID] = jobs.c.team_id,
) -> ColumnElement[bool]:
    """True for the rows that what the person was granted of ``permission`` reaches."""
    reach = granted(principal, permission)
    if Reach.ALL in reach:
        return true()
    conditions: list[ColumnElement[bool]] = []
    if Reach.OWN in reach:
        conditions.append(owner == principal.user_id)
    if Reach.TEAM in reach:
        conditions.append(team == principal.team_id)
    further = viewed_teams(principal, permission)
    if further:
        conditions.append(team.in_(further))
    return or_(false(), *conditions)
