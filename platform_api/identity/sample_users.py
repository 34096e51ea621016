"""The people of the embedded default, so that a first try needs no identity provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from uuid_utils.compat import uuid7

from platform_api.audit.actions import Action
from platform_api.db.schema import api_keys, audit_log, teams, users
from platform_api.identity.api_keys import new_key
from platform_api.ports.api_keys import EVERYTHING
from platform_api.settings import Settings
from rbac.principal import Role

KEY_NAME = "sample"

#: E-mail address, name, role, team.
SAMPLE_PEOPLE = (
    ("admin@example.com", "Admin", Role.ADMIN, "platform"),
    ("maya@example.com", "Maya", Role.JOB_CREATOR, "devops"),
    ("nadia@example.com", "Nadia", Role.JOB_CREATOR, "devops"),
    ("rajesh@example.com", "Rajesh", Role.JOB_CREATOR, "data-engineering"),
    ("chris@example.com", "Chris", Role.TEAM_VIEWER, "devops"),
)


@dataclass(frozen=True, slots=True)
class SampleCredential:
    """A sample person; ``api_key`` is there only when it was made just now."""

    email: str
    role: str
    team: str
    api_key: str | None = field(repr=False)


async def ensure_sample_people(
    engine: AsyncEngine, settings: Settings, *, fresh_keys: bool = False
) -> list[SampleCredential]:
    """Make the sample teams, people and keys that are missing, in one transaction, and return all five people.

    A key's plaintext is known to nobody afterwards: whoever loses it between this commit and the credentials file
    asks for ``fresh_keys``, which replaces them.
    """
    if settings.environment == "production":
        raise RuntimeError("Sample users exist in the embedded default only, never in production.")
    if settings.api_key_pepper is None:
        raise RuntimeError("Without JOB_PLATFORM_API_KEY_PEPPER no API key can be stored.")
    pepper = settings.api_key_pepper.get_secret_value()
    async with engine.begin() as connection:
        return [
            await _ensure(connection, email, name, role, team, pepper, fresh_keys)
            for email, name, role, team in SAMPLE_PEOPLE
        ]


async def _ensure(
    connection: AsyncConnection, email: str, name: str, role: Role, team: str, pepper: str, fresh_key: bool
) -> SampleCredential:
    team_id = await _ensure_team(connection, team)
    user_id = await _ensure_user(connection, email, name, role, team_id)
    if fresh_key:
        await connection.execute(api_keys.delete().where(api_keys.c.user_id == user_id, api_keys.c.name == KEY_NAME))
    return SampleCredential(email, role.value, team, await _ensure_key(connection, user_id, email, pepper))


async def _ensure_team(connection: AsyncConnection, name: str) -> UUID:
    statement = insert(teams).values(id=_id_of("team", name), name=name).on_conflict_do_nothing()
    await connection.execute(statement)
    found: UUID = (await connection.execute(select(teams.c.id).where(teams.c.name == name))).scalar_one()
    return found


async def _ensure_user(connection: AsyncConnection, email: str, name: str, role: Role, team_id: UUID) -> UUID:
    statement = (
        insert(users)
        .values(
            id=_id_of("user", email),
            email=email,
            display_name=name,
            role=role.value,
            team_id=team_id,
            is_sample=True,
        )
        .on_conflict_do_nothing()
    )
    if (await connection.execute(statement)).rowcount:
        await _record(connection, Action.USER_CREATED, "user", _id_of("user", email), email)
    found: UUID = (await connection.execute(select(users.c.id).where(users.c.email == email))).scalar_one()
    return found


async def _ensure_key(connection: AsyncConnection, user_id: UUID, email: str, pepper: str) -> str | None:
    mine = select(api_keys.c.id).where(api_keys.c.user_id == user_id, api_keys.c.name == KEY_NAME)
    if (await connection.execute(mine.limit(1))).one_or_none():
        return None
    key = new_key(pepper)
    key_id = uuid7()
    await connection.execute(
        insert(api_keys).values(
            id=key_id,
            user_id=user_id,
            name=KEY_NAME,
            prefix=key.prefix,
            key_hash=key.key_hash,
            scopes=[EVERYTHING],
        )
    )
    await _record(connection, Action.KEY_CREATED, "api_key", key_id, f"{email}: {key.prefix}")
    return key.plaintext


async def _record(connection: AsyncConnection, action: Action, kind: str, subject_id: UUID, name: str) -> None:
    """The installation itself acts here, so there is no actor."""
    await connection.execute(
        insert(audit_log).values(
            action=action.value,
            outcome="allowed",
            resource_type=kind,
            resource_id=str(subject_id),
            resource_name=name,
            reason="Set up by the embedded default",
        )
    )


def _id_of(kind: str, name: str) -> UUID:
    """The same in every installation, so that examples may name it."""
    return uuid5(NAMESPACE_URL, f"job-platform:sample:{kind}:{name}")
