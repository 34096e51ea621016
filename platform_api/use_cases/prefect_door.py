"""Who went to Prefect's own pages, and what was changed there."""

from __future__ import annotations

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission

LONGEST_PATH = 300


async def enter(services: Services, caller: Caller, path: str) -> None:
    """Somebody opens one of Prefect's pages."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.PREFECT_USE, Subject("prefect"))
        await record(uow, caller, Action.PREFECT_OPENED, Subject("prefect", None, path[:LONGEST_PATH]))


async def change(services: Services, caller: Caller, method: str, path: str) -> None:
    """Somebody is about to change something in Prefect; written before, for what Prefect does is out of our hands."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.PREFECT_USE, Subject("prefect"))
        subject = Subject("prefect", None, path[:LONGEST_PATH])
        await record(uow, caller, Action.PREFECT_CHANGED, subject, new={"method": method})
