"""The agenda in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Only this table: the job is read in a statement of its own behind the lock, and so never older than its entry.
_DUE = text("""
    SELECT job_id, nullif(next_tick_at, '-infinity') AS next_tick_at FROM agenda
    WHERE next_tick_at <= :until
    ORDER BY next_tick_at DESC LIMIT :limit
    FOR UPDATE SKIP LOCKED
""")

_SETTLE = text("""
    UPDATE agenda a SET next_tick_at = coalesce(w.next_tick_at, 'infinity')
    FROM unnest(CAST(:jobs AS uuid[]), CAST(:ticks AS timestamptz[])) AS w(job_id, next_tick_at)
    WHERE a.job_id = w.job_id
""")


class SqlAgenda:
    """See ``ports.agenda.Agenda``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def due(self, until: datetime, limit: int) -> dict[UUID, datetime | None]:
        """Lock entries that no other worker is at."""
        rows = await self._connection.execute(_DUE, {"until": until, "limit": limit})
        return {row.job_id: row.next_tick_at for row in rows}

    async def settle(self, next_ticks: Mapping[UUID, datetime | None]) -> None:
        """Write the next tick of each."""
        await self._connection.execute(_SETTLE, {"jobs": list(next_ticks), "ticks": list(next_ticks.values())})
