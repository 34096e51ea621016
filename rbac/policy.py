"""May this person do this with that? Default deny, always with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rbac.permissions import UNBOUND, Permission
from rbac.principal import Principal
from rbac.roles import Reach, granted, viewed_teams
from rbac.scopes import SCOPE_OF, SCOPELESS

#: Who may know that a thing exists: those who may look at one of its kind. Kinds not named here follow their job.
_LOOK_AT = {"secret": Permission.SECRET_VIEW, "key": Permission.KEY_VIEW, "user": Permission.USER_VIEW}


@dataclass(frozen=True, slots=True)
class Resource:
    """Whom a thing belongs to; what belongs to a job has the job's owner and team."""

    owner_id: UUID
    team_id: UUID


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; without ``may_know`` a refusal must look as if the thing did not exist."""

    allowed: bool
    reason: str
    may_know: bool = True


def covers(principal: Principal, permission: Permission, resource: Resource) -> bool:
    """Whether what the person was granted reaches this thing."""
    reach = granted(principal, permission)
    return (
        Reach.ALL in reach
        or (Reach.OWN in reach and resource.owner_id == principal.user_id)
        or (Reach.TEAM in reach and resource.team_id == principal.team_id)
        or resource.team_id in viewed_teams(principal, permission)
    )


def decide(principal: Principal, permission: Permission, resource: Resource | None = None) -> Decision:
    """Whether ``principal`` may use ``permission`` on ``resource`` (None only where there is none yet).

    In this order: a permission about things needs a thing; what you may not see does not exist for you; your role
    must grant it; its grant must reach the thing; the key in use must have the scope.
    """
    if resource is None and permission not in UNBOUND:
        return Decision(False, f"{permission} was asked without saying of what")
    if resource is not None and not covers(principal, _LOOK_AT.get(permission.kind, Permission.JOB_VIEW), resource):
        return Decision(False, f"The role {principal.role} does not see this", may_know=False)
    if not granted(principal, permission) and not viewed_teams(principal, permission):
        return Decision(False, f"The role {principal.role} does not include {permission}")
    if resource is not None and not covers(principal, permission, resource):
        return Decision(False, f"The role {principal.role} includes {permission} elsewhere, but not here")
    return _within_scope(principal, permission)


def _within_scope(principal: Principal, permission: Permission) -> Decision:
    """The last rule: a narrowed key does what its scopes say and no more."""
    if principal.scopes is None or permission in SCOPELESS or SCOPE_OF[permission] in principal.scopes:
        return Decision(True, f"The role {principal.role} includes {permission}")
    return Decision(False, f"This key lacks the scope {SCOPE_OF[permission]}")
