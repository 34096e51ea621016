"""The audit trail in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import Entry, StoredEntry, Subject
from platform_api.db.schema import audit_log
from platform_api.ports.audit import AuditFilter


class SqlAuditTrail:
    """``ports.audit.AuditTrail`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def record(self, entry: Entry) -> None:
        """Add the entry; it stands if and only if the transaction commits."""
        await self._connection.execute(
            insert(audit_log).values(
                actor_id=entry.actor_id,
                actor_email=entry.actor_email,
                action=entry.action.value,
                outcome=entry.outcome.value,
                reason=entry.reason,
                resource_type=entry.subject.type,
                resource_id=entry.subject.id,
                resource_name=entry.subject.name,
                changes=dict(entry.changes),
                ip_address=entry.ip_address,
                user_agent=entry.user_agent,
                request_id=entry.request_id,
            )
        )

    async def page(self, wanted: AuditFilter, before_id: int | None, limit: int) -> list[StoredEntry]:
        """The newest ``limit`` entries that match, older than ``before_id`` where it is given."""
        query = select(audit_log).where(*_conditions(wanted)).order_by(audit_log.c.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(audit_log.c.id < before_id)
        return [_stored(row) for row in await self._connection.execute(query)]

    async def pseudonymise(self, user_id: UUID, email: str) -> int:
        """Empty what tells who this person was."""
        entry = audit_log.c
        theirs = or_(entry.actor_id == user_id, func.lower(entry.actor_email) == email.lower())
        nobody = {"actor_email": None, "ip_address": None, "user_agent": None}
        touched = await self._connection.execute(update(audit_log).where(theirs).values(nobody))
        named = entry.resource_name.icontains(email, autoescape=True)
        about = await self._connection.execute(update(audit_log).where(named).values(resource_name=None))
        return touched.rowcount + about.rowcount

    async def stream(self, wanted: AuditFilter) -> AsyncIterator[StoredEntry]:
        """Every entry that matches, newest first, without holding them all in memory."""
        query = select(audit_log).where(*_conditions(wanted)).order_by(audit_log.c.id.desc())
        async with self._connection.stream(query.execution_options(yield_per=500)) as rows:
            async for row in rows:
                yield _stored(row)


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    entry = audit_log.c
    equal = {
        entry.action: wanted.action,
        entry.outcome: wanted.outcome,
        entry.resource_type: wanted.resource_type,
        entry.resource_id: wanted.resource_id,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.user is not None:
        conditions.append(func.lower(entry.actor_email) == wanted.user.lower())
    if wanted.since is not None:
        conditions.append(entry.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(entry.at < wanted.until)
    return conditions


def _stored(row: Row[tuple[object, ...]]) -> StoredEntry:
    return StoredEntry(
        id=row.id,
        at=row.at,
        entry=Entry(
            action=Action(row.action),
            subject=Subject(row.resource_type, row.resource_id, row.resource_name),
            outcome=Outcome(row.outcome),
            reason=row.reason,
            actor_id=row.actor_id,
            actor_email=row.actor_email,
            changes=row.changes,
            ip_address=str(row.ip_address) if row.ip_address is not None else None,
            user_agent=row.user_agent,
            request_id=row.request_id,
        ),
    )
