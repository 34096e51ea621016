"""The saved changes of a job, in SQL."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import job_versions, users
from platform_api.domain.job_records import JobVersion
from platform_api.domain.jobs import JobSpec

_VERSION = select(
    job_versions.c.job_id,
    job_versions.c.version,
    job_versions.c.spec,
    users.c.email.label("author"),
    job_versions.c.change,
    job_versions.c.created_at,
).join_from(job_versions, users, job_versions.c.author_id == users.c.id)

#: The largest number that the column can hold; a larger one names no version.
LARGEST = 2**31 - 1


class SqlVersions:
    """``ports.versions.Versions`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, job_id: UUID, version: int) -> JobVersion | None:
        """One version, if there is one."""
        if not 0 < version <= LARGEST:
            return None
        query = _VERSION.where(job_versions.c.job_id == job_id, job_versions.c.version == version)
        row = (await self._connection.execute(query)).one_or_none()
        return _version(row) if row else None

    async def page(self, job_id: UUID, before: int | None, limit: int) -> list[JobVersion]:
        """The newest ``limit`` versions, older than ``before`` where it is given."""
        query = _VERSION.where(job_versions.c.job_id == job_id).order_by(job_versions.c.version.desc()).limit(limit)
        if before is not None:
            query = query.where(job_versions.c.version < before)
        return [_version(row) for row in await self._connection.execute(query)]


def _version(row: Row[tuple[object, ...]]) -> JobVersion:
    return JobVersion(row.job_id, row.version, JobSpec.from_json(row.spec), row.author, row.change, row.created_at)
