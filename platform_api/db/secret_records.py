"""Secrets in SQL: who has which, which jobs get which, and the seals of their values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import Row, Select, TextClause, delete, func, insert, literal, select, text, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import secret_versions, secrets, teams, users
from platform_api.db.visibility import visible_to
from platform_api.domain.errors import Conflict, InvalidContent
from platform_api.domain.secret_records import Secret, SecretPlace, SecretScope
from platform_api.ports.secret_records import NewSecret, StoredValue, Usage, UsingJob
from platform_api.ports.secret_store import Sealed
from rbac.permissions import Permission
from rbac.policy import Resource, covers
from rbac.principal import Principal, Role
from rbac.roles import reaches

#: Who may have secrets at all; the jobs of others get none.
_ROLES = [role.value for role in Role if reaches(role, Permission.SECRET_VIEW)]

#: Whether a job ``j`` with the owner ``u`` gets the secret ``s`` by its name: the owner's own before the team's, and
#: the team's only while the owner is in it.
_GETS = """
    s.deleted_at IS NULL AND s.version > 0 AND u.role = ANY(CAST(:roles AS text[]))
    AND (s.owner_id = j.owner_id
         OR (s.team_id = j.team_id AND s.team_id = u.team_id AND NOT EXISTS (
                SELECT 1 FROM secrets o
                WHERE o.owner_id = j.owner_id AND lower(o.name) = lower(s.name)
                  AND o.deleted_at IS NULL AND o.version > 0)))
"""

_USERS = text(f"""
    SELECT s.id AS secret_id, j.id AS job_id, j.name, j.owner_id, j.team_id
    FROM secrets s
    JOIN jobs j ON (j.owner_id = s.owner_id OR j.team_id = s.team_id) AND j.status <> 'deleted'
    JOIN users u ON u.id = j.owner_id
    WHERE s.id = ANY(CAST(:ids AS uuid[])) AND {_GETS}
      AND EXISTS (SELECT 1 FROM jsonb_each_text(j.spec -> 'secrets') d WHERE lower(d.value) = lower(s.name))
    ORDER BY lower(j.name), j.id
""")  # noqa: S608 - only constants

_USABLE = text("""
    SELECT w.name FROM unnest(CAST(:names AS text[])) AS w(name)
    WHERE EXISTS (
        SELECT 1 FROM users u JOIN secrets s
          ON s.owner_id = u.id OR (s.team_id = u.team_id AND s.team_id = :team_id)
        WHERE u.id = :owner_id AND u.role = ANY(CAST(:roles AS text[]))
          AND lower(s.name) = lower(w.name) AND s.deleted_at IS NULL AND s.version > 0)
""")

_VALUE = "s.id, s.name, s.scope, v.version, v.holder, v.key_id, v.seal"

#: The use is written with the reading, and the version cannot be erased between the two.
_TAKE = text(f"""
    WITH found AS (
        SELECT w.name AS asked, {_VALUE}
        FROM unnest(CAST(:names AS text[])) AS w(name)
        JOIN secrets s ON lower(s.name) = lower(w.name)
        JOIN secret_versions v ON v.secret_id = s.id AND v.version = s.version
        JOIN jobs j ON j.id = :job_id
        JOIN users u ON u.id = j.owner_id
        WHERE {_GETS}
        FOR KEY SHARE OF v),
    used AS (
        INSERT INTO secret_uses (execution_id, secret_id, version)
        SELECT DISTINCT CAST(:execution_id AS uuid), id, version FROM found
        ON CONFLICT DO NOTHING)
    SELECT * FROM found
""")  # noqa: S608 - only constants

_TAKEN = text(f"""
    SELECT s.name AS asked, {_VALUE}
    FROM secret_uses x
    JOIN secret_versions v ON v.secret_id = x.secret_id AND v.version = x.version
    JOIN secrets s ON s.id = v.secret_id
    WHERE x.execution_id = :execution_id
""")  # noqa: S608 - only constants

_UNFINISHED = text("""
    SELECT s.id, s.name, s.scope, v.version FROM secret_versions v JOIN secrets s ON s.id = v.secret_id
    WHERE v.stored_at IS NULL AND v.begun_at < now() - :older_than
    ORDER BY v.begun_at LIMIT :limit FOR UPDATE OF s, v SKIP LOCKED
""")

_UNNEEDED = text(f"""
    SELECT s.name AS asked, {_VALUE} FROM secret_versions v JOIN secrets s ON s.id = v.secret_id
    WHERE coalesce(v.replaced_at, s.deleted_at) IS NOT NULL AND v.stored_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM secret_uses x JOIN executions e ON e.id = x.execution_id
        WHERE x.secret_id = v.secret_id AND x.version = v.version
          AND e.status IN ('queued', 'running', 'retrying'))
    ORDER BY coalesce(v.replaced_at, s.deleted_at) LIMIT :limit FOR UPDATE OF s, v SKIP LOCKED
""")  # noqa: S608 - only constants

_SEALED_OTHERWISE = text(f"""
    SELECT s.name AS asked, {_VALUE} FROM secret_versions v JOIN secrets s ON s.id = v.secret_id
    WHERE v.holder = :holder AND v.key_id <> :key_id AND v.stored_at IS NOT NULL
    ORDER BY v.secret_id, v.version LIMIT :limit FOR UPDATE OF v SKIP LOCKED
""")  # noqa: S608 - only constants

_SECRET: Select[Any] = (
    select(secrets, users.c.email.label("owner"), teams.c.name.label("team"))
    .select_from(
        secrets.outerjoin(users, secrets.c.owner_id == users.c.id).outerjoin(teams, secrets.c.team_id == teams.c.id)
    )
    .where(secrets.c.deleted_at.is_(None))
)


class SqlSecretRecords:
    """``ports.secret_records.SecretRecords`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, principal: Principal, after: Sequence[str] | None, limit: int) -> list[Secret]:
        """The secrets that the principal may see, by name, behind the place ``after`` (name, id)."""
        key = func.lower(secrets.c.name)
        reached = visible_to(principal, Permission.SECRET_VIEW, secrets.c.owner_id, secrets.c.team_id)
        query = _SECRET.where(secrets.c.version > 0, reached).order_by(key, secrets.c.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(key, secrets.c.id) > tuple_(func.lower(str(after[0])), literal(_id(after[1]))))
        return [_secret(row) for row in await self._connection.execute(query)]

    async def named(self, name: str, *, lock: bool = False) -> list[Secret]:
        """Everybody's secrets of that name, in any case."""
        query = _SECRET.where(func.lower(secrets.c.name) == name.lower(), secrets.c.version > 0)
        query = query.order_by(secrets.c.id)
        if lock:
            query = query.with_for_update(of=secrets)
        return [_secret(row) for row in await self._connection.execute(query)]

    async def get(self, secret_id: UUID) -> Secret | None:
        """One secret that is not deleted."""
        row = (await self._connection.execute(_SECRET.where(secrets.c.id == secret_id))).one_or_none()
        return _secret(row) if row else None

    async def add(self, new: NewSecret) -> None:
        """Take the name; raises ``Conflict`` when its owner or team has it already."""
        values = {"id": new.id, "name": new.name, "scope": new.scope.value}
        try:
            await self._connection.execute(insert(secrets).values(**values, owner_id=new.owner_id, team_id=new.team_id))
        except IntegrityError as error:
            if isinstance(error.orig, UniqueViolation):
                whose = "You have" if new.scope is SecretScope.OWN else "Your team has"
                raise Conflict(f"{whose} a secret of this name already; PUT gives it a new value.") from error
            raise

    async def begin_version(self, secret_id: UUID, last_four: str | None) -> int:
        """Note that a value is about to be stored, and as which version."""
        # Whoever begins comes one after the other.
        await self._connection.execute(select(secrets.c.id).where(secrets.c.id == secret_id).with_for_update())
        newest = select(func.coalesce(func.max(secret_versions.c.version), 0)).where(
            secret_versions.c.secret_id == secret_id
        )
        version = int((await self._connection.execute(newest)).scalar_one()) + 1
        await self._connection.execute(
            insert(secret_versions).values(secret_id=secret_id, version=version, last_four=last_four)
        )
        return version

    async def store_version(self, place: SecretPlace, sealed: Sealed) -> bool:
        """The value is stored, and counts from now on; False when the secret was deleted or given up meanwhile."""
        query = select(secrets.c.version, secrets.c.deleted_at).where(secrets.c.id == place.id).with_for_update()
        secret = (await self._connection.execute(query)).one_or_none()
        if secret is None:
            return False
        counts = secret.deleted_at is None and secret.version < place.version
        stored = await self._connection.execute(
            update(secret_versions)
            .where(*_is(place), secret_versions.c.stored_at.is_(None))
            .values(stored_at=func.now(), replaced_at=None if counts else func.now(), **_seal(sealed))
            .returning(secret_versions.c.last_four)
        )
        row = stored.one_or_none()
        if row is None or not counts:
            return row is not None and secret.deleted_at is None
        await self._replace(place, secret.version, row.last_four)
        return True

    async def _replace(self, place: SecretPlace, former: int, last_four: str | None) -> None:
        await self._connection.execute(
            update(secret_versions)
            .where(secret_versions.c.secret_id == place.id, secret_versions.c.version == former)
            .values(replaced_at=func.now())
        )
        await self._connection.execute(
            update(secrets)
            .where(secrets.c.id == place.id)
            .values(version=place.version, last_four=last_four, updated_at=func.now())
        )

    async def give_up_version(self, place: SecretPlace) -> None:
        """The value was not stored; a secret that never had one goes with it."""
        await self._connection.execute(
            delete(secret_versions).where(*_is(place), secret_versions.c.stored_at.is_(None))
        )
        await self._remove_if_empty(place.id)

    async def delete(self, secret_id: UUID) -> None:
        """No job gets it any more; its values go when no script that runs can still say them."""
        await self._connection.execute(update(secrets).where(secrets.c.id == secret_id).values(deleted_at=func.now()))
        versions = secret_versions.c
        await self._connection.execute(
            update(secret_versions)
            .where(versions.secret_id == secret_id, versions.stored_at.is_not(None), versions.replaced_at.is_(None))
            .values(replaced_at=func.now())
        )

    async def usage(self, secret_ids: Sequence[UUID], principal: Principal) -> Mapping[UUID, Usage]:
        """The jobs that get these secrets."""
        rows = await self._connection.execute(_USERS, {"ids": list(secret_ids), "roles": _ROLES})
        jobs: dict[UUID, list[UsingJob]] = defaultdict(list)
        others: set[UUID] = set()
        for row in rows:
            if covers(principal, Permission.JOB_VIEW, Resource(row.owner_id, row.team_id)):
                jobs[row.secret_id].append(UsingJob(row.job_id, row.name))
            else:
                others.add(row.secret_id)
        return {id_: Usage(jobs[id_], id_ in others) for id_ in secret_ids}

    async def usable(self, owner_id: UUID, team_id: UUID, names: Sequence[str]) -> set[str]:
        """Those names by which a job of that owner in that team gets a value."""
        given = {"owner_id": owner_id, "team_id": team_id, "names": list(names), "roles": _ROLES}
        return set(await self._connection.scalars(_USABLE, given))

    async def take(self, execution_id: UUID, job_id: UUID, names: Sequence[str]) -> list[StoredValue]:
        """What an execution of the job gets by these names, noted as taken."""
        given = {"execution_id": execution_id, "job_id": job_id, "names": list(names)}
        return await self._values(_TAKE, **given, roles=_ROLES)

    async def taken(self, execution_id: UUID) -> list[StoredValue]:
        """Every version that an execution has been given in any of its attempts."""
        return await self._values(_TAKEN, execution_id=execution_id)

    async def unfinished(self, older_than: timedelta, limit: int) -> list[SecretPlace]:
        """Versions whose storing was cut off, locked against other processes."""
        rows = await self._connection.execute(_UNFINISHED, {"older_than": older_than, "limit": limit})
        return [_place(row) for row in rows]

    async def unneeded(self, limit: int) -> list[StoredValue]:
        """Replaced and deleted versions that no unfinished execution was given, locked against other processes."""
        return await self._values(_UNNEEDED, limit=limit)

    async def forget_version(self, place: SecretPlace) -> bool:
        """Remove a version; True when it was the last one of a secret, which goes with it."""
        await self._connection.execute(delete(secret_versions).where(*_is(place)))
        return await self._remove_if_empty(place.id)

    async def sealed_otherwise(self, holder: str, key_id: str, limit: int) -> list[StoredValue]:
        """Versions of a holder that are sealed under another key, locked against other processes."""
        return await self._values(_SEALED_OTHERWISE, holder=holder, key_id=key_id, limit=limit)

    async def reseal(self, place: SecretPlace, sealed: Sealed) -> None:
        """Replace the seal of a version that ``sealed_otherwise`` has locked."""
        await self._connection.execute(update(secret_versions).where(*_is(place)).values(**_seal(sealed)))

    async def key_ids(self, holder: str) -> set[str]:
        """Every master key that some version of the holder is sealed under."""
        query = select(secret_versions.c.key_id).distinct().where(secret_versions.c.holder == holder)
        return {key_id for key_id in await self._connection.scalars(query) if key_id is not None}

    async def _remove_if_empty(self, secret_id: UUID) -> bool:
        any_version = select(secret_versions.c.secret_id).where(secret_versions.c.secret_id == secret_id).exists()
        removed = await self._connection.execute(
            delete(secrets).where(secrets.c.id == secret_id, ~any_version).returning(secrets.c.id)
        )
        return removed.one_or_none() is not None

    async def _values(self, statement: TextClause, **given: Any) -> list[StoredValue]:
        rows: Iterable[Row[Any]] = await self._connection.execute(statement, given)
        return [StoredValue(row.asked, _place(row), Sealed(row.holder, row.key_id, row.seal)) for row in rows]


def _is(place: SecretPlace) -> tuple[Any, Any]:
    return secret_versions.c.secret_id == place.id, secret_versions.c.version == place.version


def _seal(sealed: Sealed) -> dict[str, Any]:
    return {"holder": sealed.holder, "key_id": sealed.key_id, "seal": dict(sealed.document)}


def _place(row: Row[Any]) -> SecretPlace:
    return SecretPlace(row.id, row.name, SecretScope(row.scope), row.version)


def _id(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page") from error


def _secret(row: Row[Any]) -> Secret:
    return Secret(
        id=row.id,
        name=row.name,
        scope=SecretScope(row.scope),
        owner_id=row.owner_id,
        owner=row.owner,
        team_id=row.team_id,
        team=row.team,
        version=row.version,
        last_four=row.last_four,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
