"""Accounts and API keys in SQL."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, ScalarSelect, delete, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import api_keys, jobs, team_views, teams, users
from platform_api.domain.jobs import JobStatus
from platform_api.ports.api_keys import EVERYTHING
from platform_api.ports.people import KeyHolder, Person, PersonChange, PersonFilter
from rbac.principal import PermissionSet, Principal, Role

_VIEWED = teams.alias("viewed")


def _viewed(column: ColumnElement[Any]) -> ScalarSelect[Any]:
    """One column of the further teams that a row's person may look at, as an array."""
    return (
        select(func.array_agg(column))
        .select_from(team_views.join(_VIEWED, _VIEWED.c.id == team_views.c.team_id))
        .where(team_views.c.user_id == users.c.id)
        .correlate(users)
        .scalar_subquery()
    )


_JOBS = (
    select(func.count())
    .select_from(jobs)
    .where(jobs.c.owner_id == users.c.id, jobs.c.status != JobStatus.DELETED.value)
    .correlate(users)
    .scalar_subquery()
)

_PERSON = (
    select(
        users.c.id,
        users.c.email,
        users.c.display_name,
        users.c.role,
        users.c.team_id,
        teams.c.name.label("team"),
        users.c.is_active,
        users.c.created_at,
        users.c.version,
        users.c.permission_sets,
        _viewed(_VIEWED.c.name).label("viewer_of"),
        _JOBS.label("jobs"),
    )
    .join_from(users, teams)
    .where(users.c.erased_at.is_(None))
)

#: What a ``Principal`` is made of.
PRINCIPAL = (
    users.c.id.label("user_id"),
    users.c.email,
    users.c.role,
    users.c.team_id,
    teams.c.name.label("team"),
    users.c.permission_sets,
    _viewed(_VIEWED.c.id).label("viewer_of"),
)


class SqlPeople:
    """``ports.people.People`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def by_key_hash(self, key_hash: bytes) -> KeyHolder | None:
        """Whose key has this hash."""
        query = (
            select(
                *PRINCIPAL,
                users.c.is_active,
                api_keys.c.id.label("key_id"),
                api_keys.c.scopes,
                api_keys.c.expires_at,
                api_keys.c.revoked_at,
                api_keys.c.last_used_at,
            )
            .select_from(api_keys.join(users, api_keys.c.user_id == users.c.id).join(teams))
            .where(api_keys.c.key_hash == key_hash)
        )
        row = (await self._connection.execute(query)).one_or_none()
        return _key_holder(row) if row else None

    async def by_id(self, user_id: UUID, *, lock: bool = False) -> Person | None:
        """The account, if there is one that is not erased."""
        query = _PERSON.where(users.c.id == user_id)
        if lock:
            query = query.with_for_update(of=users, key_share=True)
        row = (await self._connection.execute(query)).one_or_none()
        return _person(row) if row else None

    async def by_email(self, email: str) -> Person | None:
        """The account of that address, in any case."""
        query = _PERSON.where(func.lower(users.c.email) == func.lower(email))
        row = (await self._connection.execute(query)).one_or_none()
        return _person(row) if row else None

    async def page(self, wanted: PersonFilter, after: tuple[str, UUID] | None, limit: int) -> list[Person]:
        """Walk the index of addresses."""
        address = func.lower(users.c.email)
        query = _PERSON.where(*_conditions(wanted)).order_by(address, users.c.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(address, users.c.id) > tuple_(literal(after[0]), literal(after[1])))
        return [_person(row) for row in await self._connection.execute(query)]

    async def active_admins(self) -> frozenset[UUID]:
        """Lock them in the order of their ids: of two who demote each other, one finds that it is the last."""
        query = (
            select(users.c.id)
            .where(users.c.role == Role.ADMIN.value, users.c.is_active)
            .order_by(users.c.id)
            .with_for_update(key_share=True)
        )
        return frozenset((await self._connection.execute(query)).scalars())

    async def save(self, person: Person, change: PersonChange) -> Person:
        """Update the row, and replace the views."""
        await self._connection.execute(
            update(users)
            .where(users.c.id == person.id)
            .values(
                role=change.role.value,
                team_id=change.team_id,
                is_active=change.is_active,
                permission_sets=sorted(change.permission_sets),
                version=users.c.version + 1,
            )
        )
        await self._connection.execute(delete(team_views).where(team_views.c.user_id == person.id))
        if change.viewer_of:
            rows = [{"user_id": person.id, "team_id": team_id} for team_id in change.viewer_of]
            await self._connection.execute(insert(team_views), rows)
        saved = await self.by_id(person.id)
        assert saved is not None  # noqa: S101 - the caller holds its lock
        return saved


def principal_of(row: Row[Any], scopes: frozenset[str] | None) -> Principal:
    """The principal in a row with the columns of ``PRINCIPAL``."""
    # A set that this release does not know grants nothing in it.
    known = frozenset(PermissionSet) & frozenset(row.permission_sets)
    return Principal(
        user_id=row.user_id,
        email=row.email,
        role=Role(row.role),
        team_id=row.team_id,
        team=row.team,
        scopes=scopes,
        viewer_of=frozenset(row.viewer_of or ()),
        permission_sets=frozenset(PermissionSet(name) for name in known),
    )


def _conditions(wanted: PersonFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.role is not None:
        conditions.append(users.c.role == wanted.role)
    if wanted.team is not None:
        conditions.append(teams.c.name == wanted.team)
    if wanted.is_active is not None:
        conditions.append(users.c.is_active == wanted.is_active)
    if wanted.has_jobs is not None:
        conditions.append((_JOBS > 0) == wanted.has_jobs)
    if wanted.q is not None:
        named = users.c.display_name.icontains(wanted.q, autoescape=True)
        conditions.append(or_(users.c.email.icontains(wanted.q, autoescape=True), named))
    return conditions


def _person(row: Row[Any]) -> Person:
    several = {"viewer_of": tuple(sorted(row.viewer_of or ())), "permission_sets": tuple(sorted(row.permission_sets))}
    return Person(**(dict(row._mapping) | several))


def _key_holder(row: Row[Any]) -> KeyHolder:
    return KeyHolder(
        key_id=row.key_id,
        principal=principal_of(row, None if EVERYTHING in row.scopes else frozenset(row.scopes)),
        is_active=row.is_active,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
