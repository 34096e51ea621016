"""Which jobs Prefect is behind with."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Uuid as SqlUuid
from sqlalchemy import and_, bindparam, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import jobs, teams, users
from platform_api.domain.jobs import JobSpec, JobStatus
from platform_api.ports.orchestrator import DeploymentIntent
from platform_api.ports.sync import SyncTask

#: First half of the advisory lock's key; the second is made from the job's id.
_LOCK_SPACE = 0x53594E43  # "SYNC"


class SqlSyncStore:
    """``SyncStore`` on PostgreSQL."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, job_id: UUID, *, wait: bool) -> bool:
        """See ``SyncStore``."""
        key = int.from_bytes(job_id.bytes[-4:], signed=True)
        take = func.pg_advisory_xact_lock if wait else func.pg_try_advisory_xact_lock
        taken = await self._connection.scalar(select(take(_LOCK_SPACE, key)))
        return wait or bool(taken)

    async def task(self, job_id: UUID, base_url: str) -> SyncTask | None:
        """See ``SyncStore``."""
        query = (
            select(jobs, teams.c.name.label("team"), users.c.email.label("owner"))
            .join(teams, teams.c.id == jobs.c.team_id)
            .join(users, users.c.id == jobs.c.owner_id)
            .where(jobs.c.id == job_id, jobs.c.synced_generation < jobs.c.generation)
        )
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        intent = DeploymentIntent(
            job_id=row.id,
            version=row.version,
            spec=JobSpec.from_json(row.spec),
            status=JobStatus(row.status),
            team=row.team,
            owner=row.owner,
            page_url=f"{base_url.rstrip('/')}/jobs/{row.id}",
            deployment_id=row.prefect_deployment_id,
        )
        return SyncTask(row.generation, intent)

    async def done(self, job_id: UUID, generation: int, deployment_id: UUID | None) -> None:
        """See ``SyncStore``."""
        await self._connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.synced_generation < generation)
            .values(synced_generation=generation, prefect_deployment_id=deployment_id, sync_error=None)
        )

    async def failed(self, job_id: UUID, error: str) -> None:
        """See ``SyncStore``."""
        await self._connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.synced_generation < jobs.c.generation)
            .values(sync_error=error)
        )

    async def behind(self, limit: int) -> list[tuple[UUID, int]]:
        """See ``SyncStore``."""
        query = (
            select(jobs.c.id, jobs.c.generation)
            .where(jobs.c.synced_generation < jobs.c.generation)
            .order_by(jobs.c.updated_at, jobs.c.id)
            .limit(limit)
        )
        return [(row.id, row.generation) for row in await self._connection.execute(query)]

    async def mark_missing(self, deployments: Mapping[UUID, UUID]) -> int:
        """See ``SyncStore``."""
        known = cast(bindparam("known", list(deployments)), ARRAY(SqlUuid))
        shown = cast(bindparam("shown", list(deployments.values())), ARRAY(SqlUuid))
        has_deployment = and_(jobs.c.prefect_deployment_id.is_not(None), jobs.c.prefect_deployment_id == known.any_())
        deleted = jobs.c.status == JobStatus.DELETED.value
        wrong = or_(and_(~deleted, ~has_deployment), and_(deleted, jobs.c.id == shown.any_()))
        marked = await self._connection.execute(
            update(jobs)
            .where(jobs.c.synced_generation >= jobs.c.generation, wrong)
            .values(synced_generation=jobs.c.generation - 1)
        )
        return marked.rowcount
