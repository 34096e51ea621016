"""Accounts and API keys in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import api_keys, teams, users
from platform_api.ports.people import KeyHolder, Person
from rbac.principal import Principal, Role

#: A key with this scope is as good as its owner.
EVERYTHING = "*"

_PERSON = select(
    users.c.id,
    users.c.email,
    users.c.display_name,
    users.c.role,
    users.c.team_id,
    teams.c.name.label("team"),
    users.c.is_active,
    users.c.created_at,
).join_from(users, teams)

#: What a ``Principal`` is made of.
PRINCIPAL = (
    users.c.id.label("user_id"),
    users.c.email,
    users.c.role,
    users.c.team_id,
    teams.c.name.label("team"),
)


class SqlPeople:
    """``ports.people.People`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def by_key_hash(self, key_hash: bytes) -> KeyHolder | None:
        """Whose key has this hash."""
        query = (
            select(
                *PRINCIPAL,
                users.c.is_active,
                api_keys.c.id.label("key_id"),
                api_keys.c.scopes,
                api_keys.c.expires_at,
                api_keys.c.revoked_at,
                api_keys.c.last_used_at,
            )
            .select_from(api_keys.join(users, api_keys.c.user_id == users.c.id).join(teams))
            .where(api_keys.c.key_hash == key_hash)
        )
        row = (await self._connection.execute(query)).one_or_none()
        return _key_holder(row) if row else None

    async def key_used(self, key_id: UUID, now: datetime) -> None:
        """Remember that the key was used."""
        await self._connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))

    async def by_id(self, user_id: UUID) -> Person | None:
        """The account, if there is one."""
        row = (await self._connection.execute(_PERSON.where(users.c.id == user_id))).one_or_none()
        return Person(**row._mapping) if row else None


def principal_of(row: Row[Any], scopes: frozenset[str] | None) -> Principal:
    """The principal in a row with the columns of ``PRINCIPAL``."""
    return Principal(
        user_id=row.user_id,
        email=row.email,
        role=Role(row.role),
        team_id=row.team_id,
        team=row.team,
        scopes=scopes,
    )


def _key_holder(row: Row[Any]) -> KeyHolder:
    return KeyHolder(
        key_id=row.key_id,
        principal=principal_of(row, None if EVERYTHING in row.scopes else frozenset(row.scopes)),
        is_active=row.is_active,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
