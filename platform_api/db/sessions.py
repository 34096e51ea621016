"""Sessions of the web UI in SQL."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.people import PRINCIPAL, principal_of
from platform_api.db.schema import sessions, teams, users
from platform_api.ports.sessions import StoredSession


class SqlSessions:
    """``ports.sessions.Sessions`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, token_hash: bytes, user_id: UUID, now: datetime, expires_at: datetime) -> None:
        """Begin a session."""
        row = {"token_hash": token_hash, "user_id": user_id, "created_at": now, "expires_at": expires_at}
        await self._connection.execute(insert(sessions).values(row))

    async def find(self, token_hash: bytes) -> StoredSession | None:
        """The session of that hash with its person's present role and team."""
        query = (
            select(*PRINCIPAL, users.c.is_active, sessions.c.created_at, sessions.c.expires_at)
            .select_from(sessions.join(users).join(teams))
            .where(sessions.c.token_hash == token_hash)
        )
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        return StoredSession(principal_of(row, None), row.is_active, row.created_at, row.expires_at)

    async def renew(self, token_hash: bytes, expires_at: datetime) -> None:
        """Let it last longer; never shorter, whichever of two requests comes last."""
        row = sessions.c
        statement = update(sessions).where(row.token_hash == token_hash, row.expires_at < expires_at)
        await self._connection.execute(statement.values(expires_at=expires_at))

    async def remove(self, token_hash: bytes) -> bool:
        """End it; whether there was one."""
        result = await self._connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash))
        return result.rowcount > 0

    async def remove_of(self, user_id: UUID) -> int:
        """End every session of a person."""
        return (await self._connection.execute(delete(sessions).where(sessions.c.user_id == user_id))).rowcount

    async def remove_expired(self, now: datetime) -> None:
        """Forget the sessions that have expired."""
        await self._connection.execute(delete(sessions).where(sessions.c.expires_at < now))
