"""Adding to the audit trail on behalf of a caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import Entry, Subject
from platform_api.audit.redaction import changes
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller


async def record(
    uow: UnitOfWork,
    caller: Caller,
    action: Action,
    subject: Subject,
    *,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    outcome: Outcome = Outcome.ALLOWED,
    reason: str | None = None,
) -> None:
    """Say in this transaction what it does: the fields that differ between ``old`` and ``new``, redacted."""
    entry = Entry(
        action=action,
        subject=subject,
        outcome=outcome,
        reason=reason,
        actor_id=caller.principal.user_id,
        actor_email=caller.principal.email,
        changes=changes(old or {}, new or {}),
        ip_address=caller.ip_address,
        user_agent=caller.user_agent,
        request_id=caller.request_id,
    )
    await uow.audit.record(entry)
