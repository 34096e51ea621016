"""The figures of the system page in SQL."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.ports.system import Backlog, Queue, StoreFacts, WorkerState

_WORKERS = text("""
    WITH held AS (
        SELECT worker_id, count(*) FILTER (WHERE status = 'running') AS running,
               count(*) FILTER (WHERE status <> 'running') AS held
        FROM executions WHERE status IN ('queued', 'running', 'retrying') AND worker_id IS NOT NULL GROUP BY worker_id
    )
    SELECT w.id, w.name, w.pool, w.host, w.pid, w.version, w.started_at, w.heartbeat_at,
           w.stopped_at IS NULL AND w.lease_expires_at > now() AS is_alive,
           coalesce(held.running, 0) AS running, coalesce(held.held, 0) AS held, w.warnings
    FROM workers w LEFT JOIN held ON held.worker_id = w.id
    WHERE w.stopped_at IS NULL OR w.stopped_at > now() - interval '1 day'
    ORDER BY is_alive DESC, w.heartbeat_at DESC LIMIT 200
""")

_QUEUES = text("""
    SELECT pool, count(*) FILTER (WHERE status = 'running') AS running,
           count(*) FILTER (WHERE status = 'retrying') AS retrying,
           count(*) FILTER (WHERE status = 'queued' AND due_at <= now()) AS due,
           count(*) FILTER (WHERE status = 'queued' AND due_at > now()) AS ahead,
           min(due_at) FILTER (WHERE status = 'queued' AND due_at <= now()) AS oldest_due
    FROM executions WHERE status IN ('queued', 'running', 'retrying') GROUP BY pool ORDER BY pool
""")

_BACKLOG = text("""
    SELECT count(*) AS reports, min(created_at) AS oldest, count(*) FILTER (WHERE tries > 0) AS in_trouble,
           (SELECT last_error FROM prefect_reports WHERE last_error IS NOT NULL ORDER BY id LIMIT 1) AS last_error,
           (SELECT count(*) FROM jobs WHERE synced_generation < generation) AS jobs_behind
    FROM prefect_reports
""")

_STORE = text("""
    SELECT current_setting('server_version') AS version,
           (SELECT string_agg(version_num, ', ') FROM alembic_version) AS schema,
           pg_database_size(current_database()) AS size_bytes,
           (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
           current_setting('max_connections')::int AS most_connections
""")


class SqlSystemFigures:
    """See ``ports.system.SystemFigures``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def workers(self) -> list[WorkerState]:
        """With what each holds, through the index on open executions."""
        return [WorkerState(**row._mapping) for row in await self._connection.execute(_WORKERS)]

    async def queues(self) -> list[Queue]:
        """Counted from the same index."""
        return [Queue(**row._mapping) for row in await self._connection.execute(_QUEUES)]

    async def backlog(self) -> Backlog:
        """A report is deleted once it is sent, so its table is what is left."""
        return Backlog(**(await self._connection.execute(_BACKLOG)).one()._mapping)

    async def store(self) -> StoreFacts:
        """From PostgreSQL's own views."""
        return StoreFacts(**(await self._connection.execute(_STORE)).one()._mapping)
