"""API keys: make, show, rotate, revoke. The key itself exists in the answer that hands it over and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.domain.errors import Conflict, InvalidContent, Unavailable
from platform_api.identity.api_keys import new_key
from platform_api.ports.api_keys import EVERYTHING, KeyDraft, StoredKey
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import AccessDenied, guarded, not_found, remember, require
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission
from rbac.policy import Decision, Resource

#: The life of a key whose maker does not say.
DEFAULT_LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A new key on its way to its owner."""

    id: UUID
    plaintext: str = field(repr=False)
    prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime


async def page(
    services: Services, caller: Caller, owner: str | None, before: UUID | None, limit: int
) -> list[StoredKey]:
    """The newest keys that the caller may see; what was revoked is gone."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.KEY_LIST, Subject("api_key"))
        return await uow.api_keys.page(caller.principal, owner, before, limit)


async def get(services: Services, caller: Caller, key_id: UUID) -> StoredKey:
    """One key, as it may be shown."""
    async with guarded(services, caller) as uow:
        return await _allowed(uow, caller, Permission.KEY_VIEW, key_id)


async def create(
    services: Services, caller: Caller, name: str, scopes: Sequence[str] | None, expires_at: datetime | None
) -> HandedOver:
    """A key of the caller's own; without ``scopes`` it may do what the caller's credential may."""
    async with guarded(services, caller) as uow:
        subject = Subject("api_key", None, name)
        require(caller, Permission.KEY_CREATE, subject)
        wanted = tuple(scopes) if scopes is not None else _own_scopes(caller)
        _require_scopes(caller, Permission.KEY_CREATE, subject, wanted)
        expiry = _expiry(services, expires_at, DEFAULT_LIFE)
        made = await _add(services, uow, caller.principal.user_id, name, wanted, expiry)
        subject = Subject("api_key", str(made.id), name)
        await record(uow, caller, Action.KEY_CREATED, subject, new=_shown(made))
        await remember(uow, caller, made)
    return made


async def rotate(
    services: Services, caller: Caller, key_id: UUID, overlap_minutes: int | None, expires_at: datetime | None
) -> HandedOver:
    """A new key in the place of this one, which goes on for ``overlap_minutes``.

    The new key has the old one's owner, scopes and life. Whoever rotates a key holds the new one, so their own
    credential must have all its scopes.
    """
    async with guarded(services, caller) as uow:
        old = await _allowed(uow, caller, Permission.KEY_ROTATE, key_id)
        subject = _subject(old)
        _require_scopes(caller, Permission.KEY_ROTATE, subject, old.scopes)
        now = services.clock.now()
        if old.expires_at is not None and old.expires_at <= now:
            raise Conflict("This API key has expired; make a new one.")
        life = old.expires_at - old.created_at if old.expires_at else DEFAULT_LIFE
        made = await _add(services, uow, old.owner_id, old.name, old.scopes, _expiry(services, expires_at, life))
        overlap = services.settings.api_key_overlap_minutes if overlap_minutes is None else overlap_minutes
        until = now + timedelta(minutes=overlap)
        if not await uow.api_keys.replace(key_id, made.id, until):
            raise Conflict("This API key was rotated already; rotate the key that came in its place.")
        change = _shown(made) | {"replaced_by": str(made.id), "old_key_ends_at": until.isoformat()}
        await record(uow, caller, Action.KEY_ROTATED, subject, new=change)
        await remember(uow, caller, made)
    return made


async def revoke(services: Services, caller: Caller, key_id: UUID) -> None:
    """End a key: the next request with it is refused."""
    async with guarded(services, caller) as uow:
        key = await _allowed(uow, caller, Permission.KEY_REVOKE, key_id)
        if not await uow.api_keys.revoke(key_id, services.clock.now()):
            raise not_found(_subject(key))
        await record(uow, caller, Action.KEY_REVOKED, _subject(key))


async def _allowed(uow: UnitOfWork, caller: Caller, permission: Permission, key_id: UUID) -> StoredKey:
    key = await uow.api_keys.get(key_id)
    if key is None:
        raise not_found(Subject("api_key", str(key_id)))
    require(caller, permission, _subject(key), Resource(key.owner_id, key.team_id))
    return key


def _subject(key: StoredKey) -> Subject:
    return Subject("api_key", str(key.id), key.name)


def _own_scopes(caller: Caller) -> tuple[str, ...]:
    own = caller.principal.scopes
    return (EVERYTHING,) if own is None else tuple(sorted(own))


def _require_scopes(caller: Caller, permission: Permission, subject: Subject, wanted: tuple[str, ...]) -> None:
    """Nobody hands on more than they hold: a narrowed key makes keys within its own scopes."""
    own = caller.principal.scopes
    beyond = sorted(set(wanted) - own) if own is not None else []
    if beyond:
        words = f"This key has not the scope {', '.join(beyond)}, so it cannot hand it on"
        raise AccessDenied(permission, subject, Decision(False, words))


def _expiry(services: Services, wanted: datetime | None, life: timedelta) -> datetime:
    now = services.clock.now()
    longest = timedelta(days=services.settings.api_key_max_days)
    if wanted is None:
        return now + min(life, longest)
    if wanted <= now:
        raise InvalidContent.of("expires_at", "must be in the future")
    if wanted > now + longest:
        raise InvalidContent.of("expires_at", f"must be within {longest.days} days")
    return wanted


async def _add(
    services: Services, uow: UnitOfWork, owner_id: UUID, name: str, scopes: tuple[str, ...], expires_at: datetime
) -> HandedOver:
    pepper = services.settings.api_key_pepper
    if pepper is None:
        raise Unavailable("This server cannot store API keys: JOB_PLATFORM_API_KEY_PEPPER is not set.")
    key = new_key(pepper.get_secret_value())
    draft = KeyDraft(
        id=uuid7(),
        owner_id=owner_id,
        name=name,
        prefix=key.prefix,
        key_hash=key.key_hash,
        scopes=scopes,
        created_at=services.clock.now(),
        expires_at=expires_at,
    )
    await uow.api_keys.add(draft)
    return HandedOver(draft.id, key.plaintext, key.prefix, scopes, expires_at)


def _shown(made: HandedOver) -> dict[str, object]:
    return {"prefix": made.prefix, "scopes": list(made.scopes), "expires_at": made.expires_at.isoformat()}
