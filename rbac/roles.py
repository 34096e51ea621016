"""The permission matrix, as data: what is not in it is refused.

| Action           | Admin | Job creator | Team viewer |
|------------------|-------|-------------|-------------|
| create a job     | yes   | yes         | no          |
| view own jobs    | yes   | yes         | no          |
| view team's jobs | yes   | no          | read-only   |
| edit own jobs    | yes   | yes         | no          |
| delete own jobs  | yes   | yes         | no          |
| view all jobs    | yes   | no          | no          |
| manage users     | yes   | no          | no          |
| view audit logs  | yes   | no          | no          |

A person has one role in one team. Besides it they may look at further teams (or at all of their own), and hold
permission sets. Whatever belongs to a job (executions, logs, versions, figures, dead letters) follows the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from rbac.permissions import Permission
from rbac.principal import PermissionSet, Principal, Role


class Reach(StrEnum):
    """Whose things a grant covers."""

    OWN = "own"
    TEAM = "team"
    ALL = "all"


Grants = Mapping[Permission, frozenset[Reach]]

#: Reading a job and all that belongs to it.
_READ_JOBS = (
    Permission.JOB_LIST,
    Permission.JOB_VIEW,
    Permission.VERSION_VIEW,
    Permission.METRICS_VIEW,
    Permission.EXECUTION_LIST,
    Permission.EXECUTION_VIEW,
    Permission.EXECUTION_EXPORT,
    Permission.LOG_VIEW,
    Permission.DEAD_LETTER_LIST,
    Permission.DASHBOARD_VIEW,
)

#: Making a job, changing it and acting on what it did.
_CHANGE_JOBS = (
    Permission.JOB_CREATE,
    Permission.JOB_VALIDATE,
    Permission.JOB_EDIT,
    Permission.JOB_DELETE,
    Permission.JOB_RUN,
    Permission.JOB_ENABLE,
    Permission.JOB_DISABLE,
    Permission.JOB_CLONE,
    Permission.JOB_ROLLBACK,
    Permission.JOB_HAND_OVER,
    Permission.EXECUTION_CANCEL,
    Permission.EXECUTION_RETRY,
    Permission.DEAD_LETTER_REPLAY,
    Permission.DEAD_LETTER_DISMISS,
)

#: What every account may do with what is its own.
_OWN_ACCOUNT = (
    Permission.PROFILE_VIEW,
    Permission.SCHEDULE_PREVIEW,
    Permission.TEMPLATE_VIEW,
    Permission.NOTIFICATION_VIEW,
    Permission.NOTIFICATION_READ,
    Permission.KEY_LIST,
    Permission.KEY_VIEW,
    Permission.KEY_CREATE,
    Permission.KEY_ROTATE,
    Permission.KEY_REVOKE,
    Permission.USER_VIEW,
    Permission.USER_EXPORT,
    Permission.USER_ERASE,
)

_SECRETS = (
    Permission.SECRET_LIST,
    Permission.SECRET_VIEW,
    Permission.SECRET_CREATE,
    Permission.SECRET_EDIT,
    Permission.SECRET_DELETE,
)


def _grant(permissions: tuple[Permission, ...], *reaches: Reach) -> dict[Permission, frozenset[Reach]]:
    return dict.fromkeys(permissions, frozenset(reaches))


GRANTS: Mapping[Role, Grants] = MappingProxyType(
    {
        Role.ADMIN: MappingProxyType(_grant(tuple(Permission), Reach.ALL)),
        Role.JOB_CREATOR: MappingProxyType(
            _grant(_READ_JOBS + _CHANGE_JOBS, Reach.OWN)
            | _grant(_SECRETS, Reach.OWN, Reach.TEAM)
            | _grant(_OWN_ACCOUNT, Reach.OWN)
        ),
        Role.TEAM_VIEWER: MappingProxyType(_grant(_READ_JOBS, Reach.TEAM) | _grant(_OWN_ACCOUNT, Reach.OWN)),
    }
)

#: What a permission set adds to any role.
SETS: Mapping[PermissionSet, Grants] = MappingProxyType(
    {
        PermissionSet.TEMPLATE_ADMIN: MappingProxyType(
            _grant((Permission.TEMPLATE_CREATE, Permission.TEMPLATE_EDIT, Permission.TEMPLATE_DELETE), Reach.ALL)
        ),
    }
)


def reaches(role: Role, permission: Permission) -> frozenset[Reach]:
    """Whose things ``role`` may do this with; empty for nobody's."""
    return GRANTS[role].get(permission, frozenset())


def granted(principal: Principal, permission: Permission) -> frozenset[Reach]:
    """Whose things this person may do this with, by their role and their permission sets together."""
    besides = (SETS[held].get(permission, frozenset()) for held in principal.permission_sets)
    return reaches(principal.role, permission).union(*besides)


def viewed_teams(principal: Principal, permission: Permission) -> frozenset[UUID]:
    """The teams beyond the role in which this person may use ``permission``: it must be a viewer's."""
    return principal.viewer_of if Reach.TEAM in reaches(Role.TEAM_VIEWER, permission) else frozenset()
