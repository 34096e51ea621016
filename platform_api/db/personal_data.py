"""Where the database holds something about a person: one list, for the export and for the erasure.

Every column that refers to ``users`` has its line in ``TRACES``; a test fails for a new one without.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

from sqlalchemy import Column, LargeBinary, Select, Table, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import (
    api_keys,
    audit_log,
    executions,
    idempotency_keys,
    identities,
    job_versions,
    jobs,
    prefect_reports,
    secrets,
    sessions,
    team_views,
    teams,
    users,
)

#: Reserved for names that never exist (RFC 2606), so that nobody can sign in as, or write to, an erased person.
ERASED_DOMAIN = "erased.invalid"


class Erasure(Enum):
    """What becomes of a row when its person is erased."""

    #: It is somebody's or something's history, and refers to a number that says nothing any more.
    KEPT = auto()
    DELETED = auto()
    #: It is marked as deleted; what it stands for elsewhere is removed by whoever keeps that.
    MARKED = auto()


@dataclass(frozen=True, slots=True)
class Trace:
    """A column that refers to a person."""

    column: Column[Any]
    #: The export's name for these rows.
    section: str
    erasure: Erasure

    @property
    def table(self) -> Table:
        """The table it belongs to."""
        return self.column.table

    def rows_of(self, user_id: UUID) -> Select[Any]:
        """The rows that refer to the person, as the export shows them."""
        return _shown(self.table).where(self.column == user_id)


TRACES = (
    Trace(team_views.c.user_id, "team_views", Erasure.DELETED),
    Trace(api_keys.c.user_id, "api_keys", Erasure.DELETED),
    Trace(idempotency_keys.c.user_id, "repeated_requests", Erasure.DELETED),
    Trace(identities.c.user_id, "identities", Erasure.DELETED),
    Trace(sessions.c.user_id, "sessions", Erasure.DELETED),
    Trace(secrets.c.owner_id, "secrets", Erasure.MARKED),
    Trace(jobs.c.owner_id, "jobs", Erasure.KEPT),
    Trace(job_versions.c.author_id, "job_versions", Erasure.KEPT),
    Trace(executions.c.triggered_by_user_id, "executions_started", Erasure.KEPT),
    Trace(executions.c.dealt_with_by, "executions_dealt_with", Erasure.KEPT),
)


class SqlPersonalData:
    """See ``ports.personal_data.PersonalData``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def everything(self, user_id: UUID) -> AsyncIterator[tuple[str, Mapping[str, Any] | None]]:
        """Walk the sections, without holding any of them in memory."""
        for section, query in _sections(user_id):
            yield section, None
            async with self._connection.stream(query.execution_options(yield_per=500)) as rows:
                async for row in rows:
                    yield section, dict(row._mapping)

    async def erase(self, user_id: UUID) -> None:
        """Delete what is theirs alone, and take their name from the rest."""
        email = (await self._connection.execute(select(users.c.email).where(users.c.id == user_id))).scalar_one()
        for trace in TRACES:
            if trace.erasure is Erasure.DELETED:
                await self._connection.execute(delete(trace.table).where(trace.column == user_id))
            if trace.erasure is Erasure.MARKED:
                marked = update(trace.table).where(trace.column == user_id, trace.table.c.deleted_at.is_(None))
                await self._connection.execute(marked.values(deleted_at=func.now()))
        await self._forget_in_executions(email, pseudonym(user_id))
        await self._connection.execute(
            update(users)
            .where(users.c.id == user_id)
            .values(
                email=pseudonym(user_id),
                display_name="Erased",
                role="team_viewer",
                is_active=False,
                permission_sets=[],
                erased_at=func.now(),
                version=users.c.version + 1,
            )
        )

    async def _forget_in_executions(self, email: str, name: str) -> None:
        """Who cancelled a run stands there as a text, and in what Prefect is still to be told."""
        run = executions.c
        await self._connection.execute(
            update(executions)
            .where(run.cancel_requested_by == email)
            .values(cancel_requested_by=name, reason=func.replace(run.reason, email, name))
        )
        told = prefect_reports.c.message
        waiting = update(prefect_reports).where(told.contains(email, autoescape=True))
        await self._connection.execute(waiting.values(message=func.replace(told, email, name)))


def pseudonym(user_id: UUID) -> str:
    """What stands where an erased person's address stood."""
    return f"{user_id}@{ERASED_DOMAIN}"


def _shown(table: Table) -> Select[Any]:
    """A table without its bytes: those are hashes and salts, and answers that repeat what is exported elsewhere."""
    return select(*(column for column in table.c if not isinstance(column.type, LargeBinary)))


def _sections(user_id: UUID) -> list[tuple[str, Select[Any]]]:
    account = select(users, teams.c.name.label("team")).join_from(users, teams).where(users.c.id == user_id)
    email = select(users.c.email).where(users.c.id == user_id).scalar_subquery()
    cancelled = _shown(executions).where(executions.c.cancel_requested_by == email)
    entry = audit_log.c
    about = and_(entry.resource_type == "user", entry.resource_id == str(user_id))
    trail = _shown(audit_log).where(or_(entry.actor_id == user_id, about)).order_by(entry.id)
    return [
        ("account", account),
        *((trace.section, trace.rows_of(user_id)) for trace in TRACES),
        ("executions_cancelled", cancelled),
        ("audit_log", trail),
    ]
