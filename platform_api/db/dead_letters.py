"""Dead letters in SQL."""

from __future__ import annotations

from sqlalchemy import literal, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.executions import execution_of, with_job
from platform_api.db.schema import executions
from platform_api.db.visibility import visible_to
from platform_api.ports.executions import Execution, Place
from rbac.permissions import Permission
from rbac.principal import Principal

#: Word for word the condition of the partial index.
_DEAD = text("executions.status IN ('failed', 'timed_out', 'crashed') AND executions.dealt_with_at IS NULL")


class SqlDeadLetters:
    """See ``ports.dead_letters.DeadLetters``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, principal: Principal, behind: Place | None, limit: int) -> list[Execution]:
        """Walk their index from the end."""
        query = (
            with_job(executions)
            .where(_DEAD, visible_to(principal, Permission.DEAD_LETTER_LIST))
            .order_by(executions.c.ended_at.desc(), executions.c.id.desc())
            .limit(limit)
        )
        if behind is not None:
            query = query.where(
                tuple_(executions.c.ended_at, executions.c.id) < tuple_(literal(behind.moment), literal(behind.id))
            )
        return [execution_of(row) for row in await self._connection.execute(query)]
