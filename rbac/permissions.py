"""Everything a person can be allowed to do: one name per verb of the contract's route table."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """``<kind of thing>:<verb>``. A name that is not here dies at import, not at a request."""

    JOB_CREATE = "job:create"
    JOB_VALIDATE = "job:validate"
    JOB_LIST = "job:list"
    JOB_VIEW = "job:view"
    JOB_EDIT = "job:edit"
    JOB_DELETE = "job:delete"
    JOB_RUN = "job:run"
    JOB_ENABLE = "job:enable"
    JOB_DISABLE = "job:disable"
    JOB_CLONE = "job:clone"
    JOB_ROLLBACK = "job:rollback"
    JOB_HAND_OVER = "job:hand_over"
    VERSION_VIEW = "version:view"
    METRICS_VIEW = "metrics:view"
    EXECUTION_LIST = "execution:list"
    EXECUTION_VIEW = "execution:view"
    EXECUTION_EXPORT = "execution:export"
    EXECUTION_CANCEL = "execution:cancel"
    EXECUTION_RETRY = "execution:retry"
    LOG_VIEW = "log:view"
    DEAD_LETTER_LIST = "dead_letter:list"
    DEAD_LETTER_REPLAY = "dead_letter:replay"
    DEAD_LETTER_DISMISS = "dead_letter:dismiss"
    DASHBOARD_VIEW = "dashboard:view"
    SCHEDULE_PREVIEW = "schedule:preview"
    SECRET_LIST = "secret:list"  # noqa: S105 - the name of a permission
    SECRET_VIEW = "secret:view"  # noqa: S105
    SECRET_CREATE = "secret:create"  # noqa: S105
    SECRET_EDIT = "secret:edit"  # noqa: S105
    SECRET_DELETE = "secret:delete"  # noqa: S105
    KEY_LIST = "key:list"
    KEY_VIEW = "key:view"
    KEY_CREATE = "key:create"
    KEY_ROTATE = "key:rotate"
    KEY_REVOKE = "key:revoke"
    PROFILE_VIEW = "profile:view"
    USER_LIST = "user:list"
    USER_VIEW = "user:view"
    USER_EDIT = "user:edit"
    USER_EXPORT = "user:export"
    USER_ERASE = "user:erase"
    TEAM_LIST = "team:list"
    TEAM_EDIT = "team:edit"
    AUDIT_VIEW = "audit:view"
    AUDIT_VERIFY = "audit:verify"
    TEMPLATE_VIEW = "template:view"
    TEMPLATE_CREATE = "template:create"
    TEMPLATE_EDIT = "template:edit"
    TEMPLATE_DELETE = "template:delete"
    NOTIFICATION_VIEW = "notification:view"
    NOTIFICATION_READ = "notification:read"
    SYSTEM_VIEW = "system:view"
    PREFECT_USE = "prefect:use"

    @property
    def kind(self) -> str:
        """The kind of thing it is about."""
        return self.value.partition(":")[0]


#: Asked before there is a thing to ask about: creating, listing, and what everybody's account may do.
UNBOUND = frozenset(
    {
        Permission.JOB_CREATE,
        Permission.JOB_VALIDATE,
        Permission.JOB_LIST,
        Permission.EXECUTION_LIST,
        Permission.EXECUTION_EXPORT,
        Permission.DEAD_LETTER_LIST,
        Permission.DASHBOARD_VIEW,
        Permission.SCHEDULE_PREVIEW,
        Permission.SECRET_LIST,
        Permission.SECRET_CREATE,
        Permission.KEY_LIST,
        Permission.KEY_CREATE,
        Permission.PROFILE_VIEW,
        Permission.USER_LIST,
        Permission.TEAM_LIST,
        Permission.TEAM_EDIT,
        Permission.AUDIT_VIEW,
        Permission.AUDIT_VERIFY,
        Permission.TEMPLATE_VIEW,
        Permission.TEMPLATE_CREATE,
        Permission.TEMPLATE_EDIT,
        Permission.TEMPLATE_DELETE,
        Permission.NOTIFICATION_VIEW,
        Permission.NOTIFICATION_READ,
        Permission.SYSTEM_VIEW,
        Permission.PREFECT_USE,
    }
)
