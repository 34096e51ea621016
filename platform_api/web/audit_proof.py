"""Does the audit trail hold? One button, one answer."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from platform_api.use_cases import audit_chain
from platform_api.web.answers import is_htmx
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()


@router.get("/audit/verify", **page(Permission.AUDIT_VERIFY))
async def verify(request: Request, services: ServicesDependency, caller: CallerDependency) -> Response:
    """Look at every link; beside the list for htmx, else on a page of its own."""
    verdict = await audit_chain.verify(services, caller)
    return render(request, "audit/verdict.html" if is_htmx(request) else "audit/verify.html", verdict=verdict)
