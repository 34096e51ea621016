"""The guides, to be read and searched beside the work."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from platform_api.domain.errors import NotFound
from platform_api.web import guides
from platform_api.web.answers import is_htmx
from platform_api.web.rendering import render
from platform_api.web.session import page, pages
from rbac.permissions import Permission

router = pages()


@router.get("/docs", **page(Permission.PROFILE_VIEW))
async def show(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """All guides by group, or those that hold what is searched for."""
    known = list(guides.guides().values())
    groups = {title: [guide for guide in known if guide.group == folder] for folder, title in guides.GROUPS.items()}
    hits = guides.search(known, q) if q.strip() else None
    template = "docs/list.html" if is_htmx(request) else "docs/page.html"
    return render(request, template, q=q, hits=hits, groups={title: found for title, found in groups.items() if found})


@router.get("/docs/{group}/{name}", **page(Permission.PROFILE_VIEW))
async def guide(request: Request, group: str, name: str) -> Response:
    """One guide."""
    known = guides.guides()
    found = known.get(f"{group}/{name}")
    if found is None:
        raise NotFound("There is no such guide.")
    beside = [other for other in known.values() if other.group == group]
    return render(request, "docs/guide.html", guide=found, beside=beside, group=guides.GROUPS[group])
