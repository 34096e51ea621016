"""What an API key can be narrowed to."""

from __future__ import annotations

from enum import StrEnum

from rbac.permissions import Permission


class Scope(StrEnum):
    """A part of what its owner may do; a key without scopes may do all of it."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    JOBS_RUN = "jobs:run"
    EXECUTIONS_READ = "executions:read"
    SECRETS_READ = "secrets:read"
    SECRETS_WRITE = "secrets:write"
    KEYS_WRITE = "keys:write"
    USERS_WRITE = "users:write"
    AUDIT_READ = "audit:read"
    TEMPLATES_WRITE = "templates:write"


_NEEDED: dict[Scope, tuple[Permission, ...]] = {
    Scope.JOBS_READ: (
        Permission.JOB_VALIDATE,
        Permission.JOB_LIST,
        Permission.JOB_VIEW,
        Permission.VERSION_VIEW,
        Permission.METRICS_VIEW,
        Permission.DASHBOARD_VIEW,
    ),
    Scope.JOBS_WRITE: (
        Permission.JOB_CREATE,
        Permission.JOB_EDIT,
        Permission.JOB_DELETE,
        Permission.JOB_ENABLE,
        Permission.JOB_DISABLE,
        Permission.JOB_CLONE,
        Permission.JOB_ROLLBACK,
        Permission.JOB_HAND_OVER,
    ),
    Scope.JOBS_RUN: (
        Permission.JOB_RUN,
        Permission.EXECUTION_CANCEL,
        Permission.EXECUTION_RETRY,
        Permission.DEAD_LETTER_REPLAY,
        Permission.DEAD_LETTER_DISMISS,
    ),
    Scope.EXECUTIONS_READ: (
        Permission.EXECUTION_LIST,
        Permission.EXECUTION_VIEW,
        Permission.EXECUTION_EXPORT,
        Permission.LOG_VIEW,
        Permission.DEAD_LETTER_LIST,
    ),
    Scope.SECRETS_READ: (Permission.SECRET_LIST, Permission.SECRET_VIEW),
    Scope.SECRETS_WRITE: (Permission.SECRET_CREATE, Permission.SECRET_EDIT, Permission.SECRET_DELETE),
    Scope.KEYS_WRITE: (
        Permission.KEY_LIST,
        Permission.KEY_VIEW,
        Permission.KEY_CREATE,
        Permission.KEY_ROTATE,
        Permission.KEY_REVOKE,
    ),
    Scope.USERS_WRITE: (
        Permission.USER_LIST,
        Permission.USER_VIEW,
        Permission.USER_EDIT,
        Permission.USER_EXPORT,
        Permission.USER_ERASE,
        Permission.TEAM_LIST,
        Permission.TEAM_EDIT,
        Permission.SYSTEM_VIEW,
        Permission.PREFECT_USE,
    ),
    Scope.AUDIT_READ: (Permission.AUDIT_VIEW, Permission.AUDIT_VERIFY),
    Scope.TEMPLATES_WRITE: (Permission.TEMPLATE_CREATE, Permission.TEMPLATE_EDIT, Permission.TEMPLATE_DELETE),
}

#: Whoever holds a key at all may do these.
SCOPELESS = frozenset(
    {
        Permission.PROFILE_VIEW,
        Permission.SCHEDULE_PREVIEW,
        Permission.TEMPLATE_VIEW,
        Permission.NOTIFICATION_VIEW,
        Permission.NOTIFICATION_READ,
    }
)

SCOPE_OF: dict[Permission, Scope] = {
    permission: scope for scope, permissions in _NEEDED.items() for permission in permissions
}
