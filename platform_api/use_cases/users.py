"""Accounts."""

from __future__ import annotations

from platform_api.audit.entries import Subject
from platform_api.ports.people import Person
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, not_found, require
from platform_api.use_cases.services import Services
from rbac.permissions import Permission


async def me(services: Services, caller: Caller) -> Person:
    """The caller's own account."""
    subject = Subject("user", str(caller.principal.user_id), caller.principal.email)
    async with guarded(services, caller) as uow:
        require(caller, Permission.PROFILE_VIEW, subject)
        person = await uow.people.by_id(caller.principal.user_id)
    if person is None:
        raise not_found(subject)
    return person
