"""The closed vocabulary of the audit trail."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What happened: ``<kind of thing>.<past tense>``."""

    JOB_CREATED = "job.created"
    JOB_UPDATED = "job.updated"
    JOB_DELETED = "job.deleted"
    JOB_ENABLED = "job.enabled"
    JOB_DISABLED = "job.disabled"
    JOB_CLONED = "job.cloned"
    JOB_ROLLED_BACK = "job.rolled_back"
    JOB_RUN = "job.run"
    JOB_HANDED_OVER = "job.handed_over"
    EXECUTION_CANCELLED = "execution.cancelled"
    EXECUTION_RETRIED = "execution.retried"
    EXECUTION_EXPORTED = "execution.exported"
    DEAD_LETTER_REPLAYED = "dead_letter.replayed"
    DEAD_LETTER_DISMISSED = "dead_letter.dismissed"
    ACCESS_DENIED = "access.denied"
    AUTHENTICATION_FAILED = "authentication.failed"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_SEALED = "audit.sealed"
    SECRET_CREATED = "secret.created"  # noqa: S105 - the name of an action
    SECRET_UPDATED = "secret.updated"  # noqa: S105
    SECRET_DELETED = "secret.deleted"  # noqa: S105
    SETTINGS_CHANGED = "settings.changed"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    USER_CREATED = "user.created"
    USER_UPDATED = "user.updated"
    USER_EXPORTED = "user.exported"
    USER_ERASED = "user.erased"
    TEAM_CREATED = "team.created"
    TEAM_UPDATED = "team.updated"
    TEAM_DELETED = "team.deleted"
    NOTIFICATION_READ = "notification.read"
    PREFECT_OPENED = "prefect.opened"
    PREFECT_CHANGED = "prefect.changed"
    SIGNED_IN = "session.started"
    SIGNED_OUT = "session.ended"
    SIGN_IN_FAILED = "session.refused"


class Outcome(StrEnum):
    """How it went."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILED = "failed"
