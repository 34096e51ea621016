"""Accounts, as sign-in makes and refreshes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rbac.principal import Principal, Role


@dataclass(frozen=True, slots=True)
class Account:
    """A person with what sign-in needs to know."""

    principal: Principal
    display_name: str
    is_active: bool
    #: When the token was issued that role and team were last taken from; None for who never signed in this way.
    claims_at: datetime | None


@dataclass(frozen=True, slots=True)
class Profile:
    """What is written to an account."""

    email: str
    display_name: str
    role: Role
    team_id: UUID


class Accounts(Protocol):
    """People by what a provider calls them."""

    async def by_subject(self, issuer: str, subject: str) -> Account | None:
        """Who signed in as this subject before."""
        ...

    async def by_email(self, issuer: str, email: str) -> Account | None:
        """Who has this address; ``claims_at`` tells whether they are another subject of the same issuer."""
        ...

    async def one_at_a_time(self) -> None:
        """Let only one transaction at once make accounts: held until this one ends."""
        ...

    async def create(self, user_id: UUID, profile: Profile) -> None:
        """Add an account."""
        ...

    async def link(self, user_id: UUID, issuer: str, subject: str, claims_at: datetime) -> None:
        """From now on this subject is that person."""
        ...

    async def refresh(self, user_id: UUID, issuer: str, profile: Profile, claims_at: datetime) -> None:
        """Write what the provider says now."""
        ...

    async def team_id(self, name: str) -> UUID | None:
        """The team of that name, in any case."""
        ...

    async def create_team(self, team_id: UUID, name: str) -> None:
        """Add a team."""
        ...

    async def forget(self, user_id: UUID) -> None:
        """Unlink a person from every provider: their next sign-in is a first one."""
        ...
