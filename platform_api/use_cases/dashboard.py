"""What a person sees first."""

from __future__ import annotations

from platform_api.audit.entries import Subject
from platform_api.ports.dashboard import DashboardFigures
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.services import Services
from rbac.permissions import Permission


async def show(services: Services, caller: Caller, team: str | None) -> DashboardFigures:
    """The figures of all that the caller may see, or of one team's part of it."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.DASHBOARD_VIEW, Subject("dashboard"))
        return await uow.dashboard.figures(caller.principal, team, services.clock.now())
