"""Secrets: set, look at what is known of them, replace, delete. Nobody reads a value here.

A value is set in three steps (D7): the intent is committed with its audit entry, the store is called, the outcome is
committed. What a crash leaves between two steps, ``secret_upkeep`` finishes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from uuid_utils.compat import uuid7

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import Subject
from platform_api.domain.errors import Conflict, InvalidContent, Unavailable
from platform_api.domain.secret_records import Secret, SecretPlace, SecretScope, faults_of_name
from platform_api.domain.secret_values import TELLING_LENGTH, faults
from platform_api.ports.secret_records import NewSecret, Usage
from platform_api.ports.secrets import SecretsUnavailable
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, not_found, remember, require
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission
from rbac.policy import Resource, covers

logger = logging.getLogger(__name__)

#: In a resource: belongs to no person, or to no team.
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Wish:
    """A secret to be made."""

    name: str
    value: str = field(repr=False)
    scope: SecretScope = SecretScope.OWN


@dataclass(frozen=True, slots=True)
class Address:
    """Which secret of that name is meant; without more, your own before your team's."""

    name: str
    scope: SecretScope | None = None
    #: For administrators: whose, by e-mail address or team name.
    owner: str | None = None
    team: str | None = None

    def means(self, secret: Secret) -> bool:
        """Whether the secret answers to it."""
        return (
            self.scope in (None, secret.scope)
            and (self.owner is None or (secret.owner or "").lower() == self.owner.lower())
            and (self.team is None or secret.team == self.team)
        )


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret and the jobs that use it, as far as the caller may see them."""

    secret: Secret
    usage: Usage


def resource_of(secret: Secret) -> Resource:
    """The secret as the policy sees it: an own one is no team's, a team's is nobody's own."""
    return Resource(secret.owner_id or _NOBODY, secret.team_id or _NOBODY)


async def page(services: Services, caller: Caller, after: Sequence[str] | None, limit: int) -> list[SecretView]:
    """The secrets that the caller may see, by name."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.SECRET_LIST, Subject("secret"))
        found = await uow.secrets.page(caller.principal, after, limit)
        usage = await uow.secrets.usage([secret.id for secret in found], caller.principal)
    return [SecretView(secret, usage[secret.id]) for secret in found]


async def get(services: Services, caller: Caller, address: Address) -> SecretView:
    """What is known of one secret."""
    async with guarded(services, caller) as uow:
        return await _view(uow, caller, await _load(uow, caller, Permission.SECRET_VIEW, address))


async def create(services: Services, caller: Caller, wish: Wish) -> SecretView:
    """Make a secret with its first value."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.SECRET_CREATE, Subject("secret", None, None))
        _check(wish.value, wish.name)
        new = _new(caller, wish)
        await uow.secrets.add(new)
        place = await _begin(uow, new.id, wish)
        facts = {"scope": wish.scope.value, "version": place.version}
        await record(uow, caller, Action.SECRET_CREATED, _subject(place), new=facts)
    return await _store(services, caller, Action.SECRET_CREATED, place, wish.value)


async def replace_value(services: Services, caller: Caller, address: Address, value: str) -> SecretView:
    """Give a secret a new value, as a new version: every attempt that starts from now on gets it."""
    async with guarded(services, caller) as uow:
        secret = await _load(uow, caller, Permission.SECRET_EDIT, address, lock=True)
        _check(value)
        place = await _begin(uow, secret.id, Wish(secret.name, value, secret.scope))
        versions = {"version": secret.version}, {"version": place.version}
        await record(uow, caller, Action.SECRET_UPDATED, _subject(place), old=versions[0], new=versions[1])
    return await _store(services, caller, Action.SECRET_UPDATED, place, value)


async def delete(services: Services, caller: Caller, address: Address, *, force: bool) -> None:
    """Delete a secret; one that jobs use only by force, for they cannot start without it."""
    async with guarded(services, caller) as uow:
        secret = await _load(uow, caller, Permission.SECRET_DELETE, address, lock=True)
        usage = (await _view(uow, caller, secret)).usage
        if not force and (usage.jobs or usage.others):
            raise Conflict(f"{_users(usage)} use this secret and could not start; delete it with ?force=true.")
        await uow.secrets.delete(secret.id)
        old = {"scope": secret.scope.value, "version": secret.version}
        subject = Subject("secret", str(secret.id), secret.name)
        await record(uow, caller, Action.SECRET_DELETED, subject, old=old)


def _check(value: str, name: str | None = None) -> None:
    told = [] if name is None else list(faults_of_name(name))
    told += faults(value)
    if told:
        raise InvalidContent(told)


def _new(caller: Caller, wish: Wish) -> NewSecret:
    who, own = caller.principal, wish.scope is SecretScope.OWN
    return NewSecret(uuid7(), wish.name, wish.scope, who.user_id if own else None, None if own else who.team_id)


async def _begin(uow: UnitOfWork, secret_id: UUID, wish: Wish) -> SecretPlace:
    last_four = wish.value[-4:] if len(wish.value) >= TELLING_LENGTH else None
    version = await uow.secrets.begin_version(secret_id, last_four)
    return SecretPlace(secret_id, wish.name, wish.scope, version)


async def _store(services: Services, caller: Caller, action: Action, place: SecretPlace, value: str) -> SecretView:
    """Call the store, then commit the outcome."""
    try:
        sealed = await services.secret_store.put(place, value)
    except SecretsUnavailable as trouble:
        await _give_up(services, caller, action, place, str(trouble))
        raise Unavailable(f"{trouble}. Nothing was changed; try again.") from None
    async with services.uow() as uow:
        counts = await uow.secrets.store_version(place, sealed)
        secret = await uow.secrets.get(place.id)
        if counts and secret is not None:
            view = await _view(uow, caller, secret)
            await remember(uow, caller, view)
            return view
        await _release(uow, caller)
    # What is committed all the same lets the upkeep find the value and erase it.
    raise Conflict("The secret was deleted meanwhile; this value is not used.")


async def _give_up(services: Services, caller: Caller, action: Action, place: SecretPlace, reason: str) -> None:
    async with services.uow() as uow:
        await uow.secrets.give_up_version(place)
        await record(uow, caller, action, _subject(place), outcome=Outcome.FAILED, reason=reason)
        await _release(uow, caller)


async def _release(uow: UnitOfWork, caller: Caller) -> None:
    if caller.once is not None:
        await caller.once.release(uow, caller.principal)


async def _load(
    uow: UnitOfWork, caller: Caller, permission: Permission, address: Address, *, lock: bool = False
) -> Secret:
    """The secret that is meant, if the caller may use ``permission`` on it."""
    found = [secret for secret in await uow.secrets.named(address.name, lock=lock) if address.means(secret)]
    subject = Subject("secret", address.name, address.name)
    seen = [secret for secret in found if covers(caller.principal, Permission.SECRET_VIEW, resource_of(secret))]
    if not found:
        raise not_found(subject)
    chosen = _nearest(caller, seen) if seen else found[0]
    require(caller, permission, subject, resource_of(chosen))
    return chosen


def _nearest(caller: Caller, seen: list[Secret]) -> Secret:
    """The caller's own before their team's before all others."""
    who = caller.principal
    own = [secret for secret in seen if secret.owner_id == who.user_id]
    teams = [secret for secret in seen if secret.team_id == who.team_id]
    nearest = own or teams or seen
    if len(nearest) > 1:
        raise Conflict("Several secrets have this name; say which one with ?owner= or ?team=.")
    return nearest[0]


async def _view(uow: UnitOfWork, caller: Caller, secret: Secret) -> SecretView:
    return SecretView(secret, (await uow.secrets.usage([secret.id], caller.principal))[secret.id])


def _subject(place: SecretPlace) -> Subject:
    return Subject("secret", str(place.id), place.name)


def _users(usage: Usage) -> str:
    named = [f"“{job.name}”" for job in usage.jobs[:10]]
    if len(usage.jobs) > 10:
        named.append(f"{len(usage.jobs) - 10} more")
    if usage.others:
        named.append("jobs that you may not see")
    return ", ".join(named)
