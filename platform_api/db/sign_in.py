"""Sign-ins under way, in SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import sign_ins
from platform_api.ports.sign_in import SignInUnderWay


class SqlSignIns:
    """``ports.sign_in.SignIns`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, token_hash: bytes, sign_in: SignInUnderWay, expires_at: datetime) -> None:
        """Remember a departure."""
        row = {"token_hash": token_hash, "flow": dict(sign_in.flow), "next": sign_in.next, "expires_at": expires_at}
        await self._connection.execute(insert(sign_ins).values(row))

    async def take(self, token_hash: bytes, now: datetime) -> SignInUnderWay | None:
        """Take it out; of two that come at once, one gets it."""
        row = sign_ins.c
        statement = delete(sign_ins).where(row.token_hash == token_hash).returning(row.flow, row.next, row.expires_at)
        taken = (await self._connection.execute(statement)).one_or_none()
        return SignInUnderWay(taken.flow, taken.next) if taken and taken.expires_at > now else None

    async def remove_expired(self, now: datetime) -> None:
        """Forget those who never came back."""
        await self._connection.execute(delete(sign_ins).where(sign_ins.c.expires_at < now))
