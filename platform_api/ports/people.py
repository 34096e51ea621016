"""People and the keys that stand for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rbac.principal import PermissionSet, Principal, Role


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
    version: int
    #: Names of further teams whose jobs the person may look at.
    viewer_of: tuple[str, ...]
    permission_sets: tuple[str, ...]
    #: How many jobs the person owns that are not deleted.
    jobs: int


@dataclass(frozen=True, slots=True)
class PersonFilter:
    """Which accounts are wanted; every given condition must hold."""

    role: str | None = None
    team: str | None = None
    is_active: bool | None = None
    #: Whether the person owns jobs: of somebody who has left, each needs a decision.
    has_jobs: bool | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What an account is to say from now on."""

    role: Role
    team_id: UUID
    is_active: bool
    permission_sets: frozenset[PermissionSet] = field(default_factory=frozenset)
    viewer_of: frozenset[UUID] = field(default_factory=frozenset)


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

    async def by_id(self, user_id: UUID, *, lock: bool = False) -> Person | None:
        """The account, if there is one that is not erased; with ``lock`` nobody else changes it meanwhile."""
        ...

    async def by_email(self, email: str) -> Person | None:
        """The account of that address, in any case, as ``by_id``."""
        ...

    async def page(self, wanted: PersonFilter, after: tuple[str, UUID] | None, limit: int) -> list[Person]:
        """Accounts in the order of their addresses, behind the place ``after``; erased ones are no accounts."""
        ...

    async def active_admins(self) -> frozenset[UUID]:
        """The active administrators; until the transaction ends nobody else can ask this."""
        ...

    async def save(self, person: Person, change: PersonChange) -> Person:
        """Store what a locked account is to say."""
        ...
