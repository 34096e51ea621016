"""New executions in SQL."""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import executions
from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.jobs import Concurrency, Priority
from platform_api.ports.runs import NewRun

#: Lower starts first.
_RANKS = {Priority.CRITICAL: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


class SqlRuns:
    """See ``ports.runs.Runs``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, run: NewRun) -> None:
        """Insert the execution."""
        await self._connection.execute(
            insert(executions).values(
                id=run.id,
                job_id=run.job.id,
                job_version=run.job.version,
                pool=run.pool,
                status=ExecutionStatus.QUEUED,
                triggered_by=run.triggered_by,
                triggered_by_user_id=run.user_id,
                due_at=run.now,
                queued_at=run.now,
                overrides=run.overrides,
                retry_of=run.retry_of,
                exclusive=run.job.spec.concurrency is not Concurrency.ALLOW,
                priority=_RANKS[run.job.spec.priority],
            )
        )
