"""The audit trail of a transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from platform_api.audit.entries import Entry, StoredEntry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; every given condition must hold."""

    user: str | None = None
    action: str | None = None
    outcome: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditTrail(Protocol):
    """Entries are added and read, never changed."""

    async def record(self, entry: Entry) -> None:
        """Add the entry; it stands if and only if the transaction commits."""
        ...

    async def page(self, wanted: AuditFilter, before_id: int | None, limit: int) -> list[StoredEntry]:
        """The newest ``limit`` entries that match, older than ``before_id`` where it is given."""
        ...

    async def pseudonymise(self, user_id: UUID, email: str) -> int:
        """Empty what tells who this person was, in every entry; how many. Their id stays, and the chain holds."""
        ...

    def stream(self, wanted: AuditFilter) -> AsyncIterator[StoredEntry]:
        """Every entry that matches, newest first, without holding them all in memory."""
        ...
