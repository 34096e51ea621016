"""People and the keys that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rbac.principal import Principal


@dataclass(frozen=True, slots=True)
class Person:
    """An account, as it is shown."""

    id: UUID
    email: str
    display_name: str
    role: str
    team_id: UUID
    team: str
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A stored key and the principal it stands for."""

    key_id: UUID
    principal: Principal
    is_active: bool
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def refusal(self, now: datetime) -> str | None:
        """Why the key is not taken, or None when it is."""
        if self.revoked_at is not None:
            return "This API key was revoked."
        if self.expires_at is not None and self.expires_at <= now:
            return "This API key has expired."
        return None if self.is_active else "This account is not active."


class People(Protocol):
    """Who there is."""

    async def by_key_hash(self, key_hash: bytes) -> KeyHolder | None:
        """Whose key has this hash."""
        ...

    async def by_id(self, user_id: UUID) -> Person | None:
        """The account, if there is one."""
        ...
