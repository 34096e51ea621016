"""Reading the audit trail."""

from __future__ import annotations

from collections.abc import AsyncIterator

from platform_api.audit.actions import Action
from platform_api.audit.entries import StoredEntry, Subject
from platform_api.ports.audit import AuditFilter
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission

_TRAIL = Subject("audit_log")


async def page(
    services: Services, caller: Caller, wanted: AuditFilter, before_id: int | None, limit: int
) -> list[StoredEntry]:
    """The newest entries that match."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.AUDIT_VIEW, _TRAIL)
        return await uow.audit.page(wanted, before_id, limit)


async def export(services: Services, caller: Caller, wanted: AuditFilter) -> AsyncIterator[StoredEntry]:
    """Every entry that matches, as a stream; that somebody took them is itself an entry, written first."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.AUDIT_VIEW, _TRAIL)
        await record(uow, caller, Action.AUDIT_EXPORTED, _TRAIL)
    return _entries(services, wanted)


async def _entries(services: Services, wanted: AuditFilter) -> AsyncIterator[StoredEntry]:
    async with services.uow() as uow:
        async for entry in uow.audit.stream(wanted):
            yield entry
