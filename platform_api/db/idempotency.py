"""Answers kept for repeated requests, in SQL."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import idempotency_keys
from platform_api.domain.errors import Conflict
from platform_api.ports.idempotency import KEPT_FOR, UNANSWERED_FOR, Answer, Earlier


class SqlIdempotencyKeys:
    """``ports.idempotency.IdempotencyKeys`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(self, user_id: UUID, key: str, request_hash: bytes) -> Earlier | None:
        """Take the key, or say who has it: the primary key decides between transactions that try at once."""
        row = idempotency_keys.c
        fresh: dict[str, Any] = {
            "request_hash": request_hash,
            "status_code": None,
            "headers": None,
            "body": None,
            "created_at": func.now(),
        }
        statement = (
            insert(idempotency_keys)
            .values(user_id=user_id, key=key, **fresh)
            .on_conflict_do_update(
                index_elements=[row.user_id, row.key],
                set_=fresh,
                where=or_(
                    row.created_at < func.now() - KEPT_FOR,
                    and_(row.status_code.is_(None), row.created_at < func.now() - UNANSWERED_FOR),
                ),
            )
            .returning(row.key)
        )
        try:
            taken = (await self._connection.execute(statement)).one_or_none()
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise Conflict("The first request with this Idempotency-Key is still under way; try again.") from error
            raise
        return None if taken else await self._earlier(user_id, key)

    async def release(self, user_id: UUID, key: str) -> None:
        """Give back a key whose request took no effect."""
        row = idempotency_keys.c
        await self._connection.execute(
            delete(idempotency_keys).where(row.user_id == user_id, row.key == key, row.status_code.is_(None))
        )

    async def keep(self, user_id: UUID, key: str, request_hash: bytes, answer: Answer) -> None:
        """Store the answer to the request that holds the key."""
        row = idempotency_keys.c
        kept: dict[str, Any] = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}
        await self._connection.execute(
            insert(idempotency_keys)
            .values(user_id=user_id, key=key, request_hash=request_hash, **kept)
            .on_conflict_do_update(
                index_elements=[row.user_id, row.key], set_=kept, where=row.request_hash == request_hash
            )
        )

    async def _earlier(self, user_id: UUID, key: str) -> Earlier:
        row = idempotency_keys.c
        query = select(idempotency_keys).where(row.user_id == user_id, row.key == key)
        found = (await self._connection.execute(query)).one()
        if found.status_code is None:
            return Earlier(bytes(found.request_hash), None)
        return Earlier(bytes(found.request_hash), Answer(found.status_code, bytes(found.body), found.headers))
