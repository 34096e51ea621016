"""One line of the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from platform_api.audit.actions import Action, Outcome


@dataclass(frozen=True, slots=True)
class Subject:
    """What something was done to."""

    type: str
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to which thing, from where; ``changes`` are redacted before they come here."""

    action: Action
    subject: Subject
    outcome: Outcome = Outcome.ALLOWED
    reason: str | None = None
    actor_id: UUID | None = None
    actor_email: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry with its place in the trail."""

    id: int
    at: datetime
    entry: Entry
