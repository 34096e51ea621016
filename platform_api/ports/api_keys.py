"""API keys, as they are stored: never the keys themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rbac.principal import Principal

#: A key with this scope is as good as its owner.
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A key that is about to be stored."""

    id: UUID
    owner_id: UUID
    name: str
    prefix: str
    key_hash: bytes = field(repr=False)
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that was not revoked."""

    id: UUID
    owner_id: UUID
    team_id: UUID
    owner: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    #: The key that came in its place; this one goes on until it expires.
    replaced_by: UUID | None


class ApiKeys(Protocol):
    """Who can come in with what."""

    async def add(self, draft: KeyDraft) -> None:
        """Store a new key."""
        ...

    async def get(self, key_id: UUID) -> StoredKey | None:
        """The key, unless it was revoked."""
        ...

    async def page(self, principal: Principal, owner: str | None, before: UUID | None, limit: int) -> list[StoredKey]:
        """The newest keys that the principal may see, older than ``before``; ``owner`` is an e-mail address."""
        ...

    async def revoke(self, key_id: UUID, now: datetime) -> bool:
        """End the key; False if somebody else has."""
        ...

    async def replace(self, key_id: UUID, by: UUID, until: datetime) -> bool:
        """Let the key end at ``until`` at the latest; False if it was revoked or replaced meanwhile."""
        ...

    async def note_uses(self, uses: Mapping[UUID, datetime]) -> None:
        """Write when keys were last used, each at most once a minute."""
        ...
