"""Accounts: look, change, take everything along, be forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.domain.errors import Conflict, FieldError, InvalidContent, StaleVersion
from platform_api.ports.people import Person, PersonChange, PersonFilter
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, not_found, require
from platform_api.use_cases.ownership import Fate, dispose
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission
from rbac.policy import Resource
from rbac.principal import PermissionSet, Role

_LAST_ADMIN = "This is the last active administrator; make somebody else one first."


@dataclass(frozen=True, slots=True)
class PersonWish:
    """What is to change; None leaves it."""

    role: Role | None = None
    team: str | None = None
    is_active: bool | None = None
    viewer_of: frozenset[str] | None = None
    permission_sets: frozenset[PermissionSet] | None = None
    #: What becomes of the jobs of a person who is deactivated.
    jobs: Fate = Fate.KEEP
    hand_over_to: str | None = None
    version: int | None = None
    #: These come from the identity provider; to repeat them is all that may be done.
    email: str | None = None
    name: str | None = None


async def me(services: Services, caller: Caller) -> Person:
    """The caller's own account."""
    async with guarded(services, caller) as uow:
        return await _load(uow, caller, Permission.PROFILE_VIEW, caller.principal.user_id)


async def page(
    services: Services, caller: Caller, wanted: PersonFilter, after: tuple[str, UUID] | None, limit: int
) -> list[Person]:
    """The accounts."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.USER_LIST, Subject("user"))
        return await uow.people.page(wanted, after, limit)


async def get(services: Services, caller: Caller, user_id: UUID) -> Person:
    """One account."""
    async with guarded(services, caller) as uow:
        return await _load(uow, caller, Permission.USER_VIEW, user_id)


async def edit(
    services: Services, caller: Caller, user_id: UUID, wish: PersonWish, if_match: frozenset[str] | None
) -> Person:
    """Change an account. A key or session of somebody who is deactivated ends with their next request."""
    async with guarded(services, caller) as uow:
        await _load(uow, caller, Permission.USER_EDIT, user_id)
        admins = await uow.people.active_admins()
        person = await _load(uow, caller, Permission.USER_EDIT, user_id, lock=True)
        _check_match(person, if_match, wish.version)
        change = await _change(uow, person, wish)
        if admins == {person.id} and not (change.is_active and change.role is Role.ADMIN):
            raise Conflict(_LAST_ADMIN)
        saved = await uow.people.save(person, change)
        await record(uow, caller, Action.USER_UPDATED, subject_of(person), old=facts(person), new=facts(saved))
        if not saved.is_active:
            await dispose(uow, services, caller, person, wish.jobs, wish.hand_over_to)
        return await uow.people.by_id(user_id) or saved


async def export(
    services: Services, caller: Caller, user_id: UUID
) -> AsyncIterator[tuple[str, Mapping[str, Any] | None]]:
    """Everything stored about a person; that somebody took it is an entry itself, written first."""
    async with guarded(services, caller) as uow:
        person = await _load(uow, caller, Permission.USER_EXPORT, user_id)
        await record(uow, caller, Action.USER_EXPORTED, subject_of(person))
    return _everything(services, user_id)


async def erase(
    services: Services, caller: Caller, user_id: UUID, hand_over_to: str | None, if_match: frozenset[str] | None = None
) -> None:
    """Forget a person: jobs go to an heir or are deleted, credentials end, history keeps a number for a name."""
    async with guarded(services, caller) as uow:
        await _load(uow, caller, Permission.USER_ERASE, user_id)
        admins = await uow.people.active_admins()
        person = await _load(uow, caller, Permission.USER_ERASE, user_id, lock=True)
        _check_match(person, if_match)
        if admins == {person.id}:
            raise Conflict(_LAST_ADMIN)
        await dispose(uow, services, caller, person, Fate.DELETE, hand_over_to)
        await record(uow, caller, Action.USER_ERASED, subject_of(person))
        await uow.personal_data.erase(user_id)
        # Last, so that it reaches what has just been written, too.
        await uow.audit.pseudonymise(user_id, person.email)


def etag_of(person: Person) -> str:
    """What an ``If-Match`` must name."""
    return f'"{person.version}"'


def subject_of(person: Person) -> Subject:
    """The person as the audit trail names them; the name goes when they are erased."""
    return Subject("user", str(person.id), person.email)


def facts(person: Person) -> dict[str, Any]:
    """What the audit trail compares."""
    return {
        "role": person.role,
        "team": person.team,
        "active": person.is_active,
        "viewer_of": list(person.viewer_of),
        "permission_sets": list(person.permission_sets),
    }


async def _load(
    uow: UnitOfWork, caller: Caller, permission: Permission, user_id: UUID, *, lock: bool = False
) -> Person:
    person = await uow.people.by_id(user_id, lock=lock)
    if person is None:
        raise not_found(Subject("user", str(user_id)))
    # A person's account is their own; that they are in a team opens it to nobody in the team.
    require(caller, permission, subject_of(person), Resource(person.id, person.team_id))
    return person


def _check_match(person: Person, if_match: frozenset[str] | None, version: int | None = None) -> None:
    if version is not None and version != person.version:
        raise StaleVersion(person.version, "account")
    if if_match is not None and etag_of(person) not in if_match and "*" not in if_match:
        raise StaleVersion(person.version, "account")


async def _change(uow: UnitOfWork, person: Person, wish: PersonWish) -> PersonChange:
    """The whole account as it is to be; raises ``InvalidContent`` for what contradicts itself or is not there."""
    team = wish.team or person.team
    viewer_of = frozenset(person.viewer_of) if wish.viewer_of is None else wish.viewer_of
    is_active = person.is_active if wish.is_active is None else wish.is_active
    known = await uow.teams.ids(viewer_of | {team})
    faults = [
        FieldError(field, f"there is no team named “{name}”")
        for field, name in [("team", team), *(("viewer_of", name) for name in sorted(viewer_of))]
        if name not in known
    ]
    repeated = {"email": (wish.email, person.email), "name": (wish.name, person.display_name)}
    faults += [
        FieldError(field, "comes from the identity provider; leave it out")
        for field, (given, stored) in repeated.items()
        if given not in (None, stored)
    ]
    if is_active and (wish.hand_over_to is not None or wish.jobs is not Fate.KEEP):
        field = "jobs" if wish.hand_over_to is None else "hand_over_to"
        faults.append(FieldError(field, "goes with active: false"))
    if faults:
        raise InvalidContent(faults)
    held = frozenset(PermissionSet(name) for name in person.permission_sets)
    return PersonChange(
        role=wish.role or Role(person.role),
        team_id=known[team],
        is_active=is_active,
        permission_sets=held if wish.permission_sets is None else wish.permission_sets,
        viewer_of=frozenset(known[name] for name in viewer_of),
    )


async def _everything(services: Services, user_id: UUID) -> AsyncIterator[tuple[str, Mapping[str, Any] | None]]:
    async with services.uow() as uow:
        async for section, row in uow.personal_data.everything(user_id):
            yield section, row
