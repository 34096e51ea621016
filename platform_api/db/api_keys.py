"""API keys in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import api_keys, users
from platform_api.db.visibility import visible_to
from platform_api.ports.api_keys import KeyDraft, StoredKey
from rbac.permissions import Permission
from rbac.principal import Principal

_NOTE_USES = text("""
UPDATE api_keys k SET last_used_at = u.used_at
FROM unnest(CAST(:ids AS uuid[]), CAST(:moments AS timestamptz[])) AS u(id, used_at)
WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at <= u.used_at - interval '1 minute')
""")


class SqlApiKeys:
    """``ports.api_keys.ApiKeys`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, draft: KeyDraft) -> None:
        """Store a new key."""
        await self._connection.execute(
            insert(api_keys).values(
                id=draft.id,
                user_id=draft.owner_id,
                name=draft.name,
                prefix=draft.prefix,
                key_hash=draft.key_hash,
                scopes=list(draft.scopes),
                created_at=draft.created_at,
                expires_at=draft.expires_at,
            )
        )

    async def get(self, key_id: UUID) -> StoredKey | None:
        """The key, unless it was revoked."""
        row = (await self._connection.execute(_keys().where(api_keys.c.id == key_id))).one_or_none()
        return _stored(row) if row else None

    async def page(self, principal: Principal, owner: str | None, before: UUID | None, limit: int) -> list[StoredKey]:
        """Ids grow with time, so the newest key has the greatest."""
        seen = visible_to(principal, Permission.KEY_LIST, owner=api_keys.c.user_id, team=users.c.team_id)
        query = _keys().where(seen).order_by(api_keys.c.id.desc()).limit(limit)
        if owner is not None:
            query = query.where(func.lower(users.c.email) == owner.lower())
        if before is not None:
            query = query.where(api_keys.c.id < before)
        return [_stored(row) for row in await self._connection.execute(query)]

    async def revoke(self, key_id: UUID, now: datetime) -> bool:
        """End the key; the update's row count says who won."""
        live = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        done = await self._connection.execute(update(api_keys).where(live).values(revoked_at=now))
        return done.rowcount == 1

    async def replace(self, key_id: UUID, by: UUID, until: datetime) -> bool:
        """Let the key end at ``until`` at the latest; the update's row count says who won."""
        key = api_keys.c
        live = (key.id == key_id) & key.revoked_at.is_(None) & key.replaced_by.is_(None)
        change = update(api_keys).where(live).values(replaced_by=by, expires_at=func.least(key.expires_at, until))
        return (await self._connection.execute(change)).rowcount == 1

    async def note_uses(self, uses: Mapping[UUID, datetime]) -> None:
        """One statement for many keys, in the order of their ids, so that two processes never block each other."""
        ids = sorted(uses)
        values: dict[str, Any] = {"ids": ids, "moments": [uses[key_id] for key_id in ids]}
        await self._connection.execute(_NOTE_USES, values)


def _keys() -> Select[Any]:
    query = select(api_keys, users.c.team_id, users.c.email.label("owner")).join_from(api_keys, users)
    return query.where(api_keys.c.revoked_at.is_(None))


def _stored(row: Row[Any]) -> StoredKey:
    return StoredKey(
        id=row.id,
        owner_id=row.user_id,
        team_id=row.team_id,
        owner=row.owner,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        replaced_by=row.replaced_by,
    )
