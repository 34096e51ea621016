"""What a start in production asks the database."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import users


async def sample_users(connection: AsyncConnection) -> list[str]:
    """The addresses of the sample users in it; none where nothing was migrated yet."""
    if not await _is_there(connection, "users"):
        return []
    query = select(users.c.email).where(users.c.is_sample).order_by(users.c.email)
    return list((await connection.execute(query)).scalars())


async def may_rewrite_the_trail(connection: AsyncConnection) -> bool:
    """Whether this role may change or delete entries of the audit trail."""
    if not await _is_there(connection, "audit_log"):
        return False
    query = text("SELECT has_table_privilege('audit_log', 'UPDATE, DELETE, TRUNCATE')")
    return bool((await connection.execute(query)).scalar_one())


async def _is_there(connection: AsyncConnection, table: str) -> bool:
    return (await connection.execute(text("SELECT to_regclass(:name)"), {"name": table})).scalar_one() is not None
