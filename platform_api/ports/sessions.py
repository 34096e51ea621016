"""Sessions of the web UI: what a browser's cookie stands for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rbac.principal import Principal


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session with its person as they are now: role, team and ``is_active`` are read with every request."""

    principal: Principal
    is_active: bool
    created_at: datetime
    expires_at: datetime


class Sessions(Protocol):
    """One row per session, found by the hash of the cookie's value."""

    async def add(self, token_hash: bytes, user_id: UUID, now: datetime, expires_at: datetime) -> None:
        """Begin a session."""
        ...

    async def find(self, token_hash: bytes) -> StoredSession | None:
        """The session of that hash, expired ones too."""
        ...

    async def renew(self, token_hash: bytes, expires_at: datetime) -> None:
        """Let it last longer; a session that has ended meanwhile stays ended."""
        ...

    async def remove(self, token_hash: bytes) -> bool:
        """End it; whether there was one."""
        ...

    async def remove_of(self, user_id: UUID) -> int:
        """End every session of a person; how many there were."""
        ...

    async def remove_expired(self, now: datetime) -> None:
        """Forget the sessions that have expired."""
        ...
