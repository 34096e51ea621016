"""Accounts in SQL, as sign-in makes and refreshes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.people import PRINCIPAL, principal_of
from platform_api.db.schema import identities, teams, users
from platform_api.ports.accounts import Account, Profile

#: Any number that nobody else uses.
_ADVISORY_LOCK = 7_401_966_302


class SqlAccounts:
    """``ports.accounts.Accounts`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def by_subject(self, issuer: str, subject: str) -> Account | None:
        """Who signed in as this subject before."""
        return await self._find(issuer, identities.c.subject == subject)

    async def by_email(self, issuer: str, email: str) -> Account | None:
        """Who has this address."""
        return await self._find(issuer, func.lower(users.c.email) == email.lower())

    async def one_at_a_time(self) -> None:
        """An advisory lock of the transaction's."""
        await self._connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})

    async def create(self, user_id: UUID, profile: Profile) -> None:
        """Add an account."""
        await self._connection.execute(insert(users).values(id=user_id, **_columns(profile)))

    async def link(self, user_id: UUID, issuer: str, subject: str, claims_at: datetime) -> None:
        """From now on this subject is that person."""
        row = {"issuer": issuer, "subject": subject, "user_id": user_id, "claims_at": claims_at}
        await self._connection.execute(insert(identities).values(row))

    async def refresh(self, user_id: UUID, issuer: str, profile: Profile, claims_at: datetime) -> None:
        """Write what the provider says now."""
        await self._connection.execute(update(users).where(users.c.id == user_id).values(**_columns(profile)))
        mine = and_(identities.c.user_id == user_id, identities.c.issuer == issuer)
        await self._connection.execute(update(identities).where(mine).values(claims_at=claims_at))

    async def team_id(self, name: str) -> UUID | None:
        """The team of that name, in any case."""
        query = select(teams.c.id).where(func.lower(teams.c.name) == name.lower())
        found: UUID | None = await self._connection.scalar(query)
        return found

    async def create_team(self, team_id: UUID, name: str) -> None:
        """Add a team."""
        await self._connection.execute(insert(teams).values(id=team_id, name=name))

    async def forget(self, user_id: UUID) -> None:
        """Unlink a person from every provider."""
        await self._connection.execute(delete(identities).where(identities.c.user_id == user_id))

    async def _find(self, issuer: str, condition: ColumnElement[bool]) -> Account | None:
        mine = and_(identities.c.user_id == users.c.id, identities.c.issuer == issuer)
        query = (
            select(*PRINCIPAL, users.c.display_name, users.c.is_active, identities.c.claims_at)
            .select_from(users.join(teams).outerjoin(identities, mine))
            .where(condition)
        )
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        return Account(principal_of(row, None), row.display_name, row.is_active, row.claims_at)


def _columns(profile: Profile) -> dict[str, Any]:
    return {
        "email": profile.email,
        "display_name": profile.display_name,
        "role": profile.role.value,
        "team_id": profile.team_id,
    }
