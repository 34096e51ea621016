"""Leases in SQL."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.ports.leases import Peer, WorkerCard

_REGISTER = text("""
    INSERT INTO workers (id, name, pool, host, pid, version, warnings, lease_expires_at)
    VALUES (:id, :name, :pool, :host, :pid, :version, CAST(:warnings AS text[]),
            now() + make_interval(secs => :lease_seconds))
    ON CONFLICT (id) DO NOTHING
""")

_RENEW = text("""
    UPDATE workers w SET heartbeat_at = now(), lease_expires_at = now() + make_interval(secs => :lease_seconds),
                         stopped_at = NULL
    FROM (SELECT id, lease_expires_at > now() AND stopped_at IS NULL AS in_time
          FROM workers WHERE id = :id FOR UPDATE) before
    WHERE w.id = before.id
    RETURNING before.in_time
""")

_PEERS = text("""
    SELECT w.id, w.stopped_at IS NOT NULL OR w.lease_expires_at < now() AS expired
    FROM workers w
    WHERE w.pool = :pool AND w.id <> :id AND (w.stopped_at IS NULL OR EXISTS (
        SELECT 1 FROM executions e WHERE e.worker_id = w.id AND e.status IN ('queued', 'running', 'retrying')))
""")


class SqlLeases:
    """See ``ports.leases.Leases``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def register(self, card: WorkerCard, lease_seconds: float) -> None:
        """Insert the worker."""
        await self._run(
            _REGISTER,
            id=card.id,
            name=card.name,
            pool=card.pool,
            host=card.host,
            pid=card.pid,
            version=card.version,
            warnings=card.warnings,
            lease_seconds=lease_seconds,
        )

    async def renew(self, worker_id: UUID, lease_seconds: float) -> bool:
        """Move the lease's end; one that was buried while it hung is alive again."""
        return bool((await self._run(_RENEW, id=worker_id, lease_seconds=lease_seconds)).scalar())

    async def stop(self, worker_id: UUID) -> None:
        """End the lease now."""
        await self._run(
            text("UPDATE workers SET stopped_at = now(), lease_expires_at = now() WHERE id = :id"), id=worker_id
        )

    async def peers(self, worker_id: UUID, pool: str) -> list[Peer]:
        """Read the other workers."""
        rows = await self._run(_PEERS, id=worker_id, pool=pool)
        return [Peer(row.id, row.expired) for row in rows]

    async def bury(self, worker_id: UUID) -> None:
        """Set the end that the worker itself could not set."""
        await self._run(
            text("UPDATE workers SET stopped_at = coalesce(stopped_at, now()) WHERE id = :id"), id=worker_id
        )

    async def _run(self, statement: Any, **parameters: Any) -> Any:
        return await self._connection.execute(statement, parameters)
