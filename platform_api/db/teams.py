"""Teams in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from sqlalchemy import Row, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import jobs, secrets, team_views, teams, users
from platform_api.domain.errors import Conflict
from platform_api.domain.jobs import JobStatus
from platform_api.ports.teams import Team

_KEPT = jobs.c.status != JobStatus.DELETED.value

_MEMBERS = (
    select(func.count())
    .select_from(users)
    .where(users.c.team_id == teams.c.id, users.c.erased_at.is_(None))
    .correlate(teams)
    .scalar_subquery()
)
_JOBS = (
    select(func.count()).select_from(jobs).where(jobs.c.team_id == teams.c.id, _KEPT).correlate(teams).scalar_subquery()
)
_TEAM = select(
    teams.c.id, teams.c.name, teams.c.version, teams.c.created_at, _MEMBERS.label("members"), _JOBS.label("jobs")
)


class SqlTeams:
    """See ``ports.teams.Teams``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, after: tuple[str, UUID] | None, limit: int) -> list[Team]:
        """Walk the index of names."""
        name = func.lower(teams.c.name)
        query = _TEAM.order_by(name, teams.c.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(name, teams.c.id) > tuple_(literal(after[0]), literal(after[1])))
        return [_team(row) for row in await self._connection.execute(query)]

    async def get(self, team_id: UUID, *, lock: bool = False) -> Team | None:
        """Read one; the full lock also holds up rows that would refer to it."""
        query = _TEAM.where(teams.c.id == team_id)
        if lock:
            query = query.with_for_update(of=teams)
        row = (await self._connection.execute(query)).one_or_none()
        return _team(row) if row else None

    async def ids(self, names: frozenset[str]) -> Mapping[str, UUID]:
        """Look the names up."""
        rows = await self._connection.execute(select(teams.c.name, teams.c.id).where(teams.c.name.in_(names)))
        return {row.name: row.id for row in rows}

    async def add(self, team_id: UUID, name: str) -> Team:
        """Insert it."""
        async with _unique(name):
            await self._connection.execute(insert(teams).values(id=team_id, name=name))
        return await self._present(team_id)

    async def rename(self, team: Team, name: str) -> Team:
        """Update it."""
        values = {"name": name, "version": teams.c.version + 1}
        async with _unique(name):
            await self._connection.execute(update(teams).where(teams.c.id == team.id).values(values))
        return await self._present(team.id)

    async def contents(self, team_id: UUID) -> Mapping[str, int]:
        """Count what refers to the team."""
        counts = {
            "members": select(func.count()).where(users.c.team_id == team_id, users.c.erased_at.is_(None)),
            "jobs": select(func.count()).where(jobs.c.team_id == team_id, _KEPT),
            "deleted jobs whose history is kept": select(func.count()).where(jobs.c.team_id == team_id, ~_KEPT),
            "viewers from other teams": select(func.count()).where(team_views.c.team_id == team_id),
        }
        counts["secrets"] = select(func.count()).where(secrets.c.team_id == team_id, secrets.c.deleted_at.is_(None))
        found = {kind: int((await self._connection.execute(query)).scalar_one()) for kind, query in counts.items()}
        return {kind: count for kind, count in found.items() if count}

    async def delete(self, team: Team, remnants_to: UUID) -> None:
        """Delete it; what other tables hold of a team (its secrets) the foreign keys know."""
        remnants = update(users).where(users.c.team_id == team.id, users.c.erased_at.is_not(None))
        await self._connection.execute(remnants.values(team_id=remnants_to))
        try:
            await self._connection.execute(delete(teams).where(teams.c.id == team.id))
        except IntegrityError as error:
            if isinstance(error.orig, ForeignKeyViolation):
                kind = error.orig.diag.table_name
                raise Conflict(f"The team {team.name} still has {kind}; move or delete them first.") from error
            raise

    async def _present(self, team_id: UUID) -> Team:
        team = await self.get(team_id)
        assert team is not None  # noqa: S101 - this transaction has just written it
        return team


def _team(row: Row[Any]) -> Team:
    return Team(**row._mapping)


@asynccontextmanager
async def _unique(name: str) -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise Conflict(f"There is a team named “{name}” already; choose another name.") from error
        raise
