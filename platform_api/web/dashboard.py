"""What a person sees first."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from platform_api.use_cases import dashboard
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()


@router.get("/", **page(Permission.DASHBOARD_VIEW))
@router.get("/dashboard", **page(Permission.DASHBOARD_VIEW))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, team: str | None = None
) -> Response:
    """Totals, what runs, what failed."""
    figures = await dashboard.show(services, caller, team or None)
    return render(request, "dashboard/page.html", figures=figures, team=team)
