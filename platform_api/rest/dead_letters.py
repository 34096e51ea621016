"""Failures that wait for a person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.executions import cursor_at, place_of, render
from platform_api.rest.paging import PageDependency, page_of
from platform_api.rest.runs import accepted
from platform_api.use_cases import dead_letters
from rbac.permissions import Permission

router = APIRouter(tags=["dead letters"])


@router.get("/dead-letters", **door(Permission.DEAD_LETTER_LIST))
async def list_dead_letters(
    page: PageDependency, services: ServicesDependency, caller: CallerDependency
) -> dict[str, Any]:
    """Executions that failed after their last attempt and nobody has dealt with, the latest first."""
    found = await dead_letters.list_page(services, caller, place_of(page.cursor), page.limit + 1)
    return page_of(found, page.limit, render, lambda shown: cursor_at(shown.execution.ended_at, shown))


@router.post(
    "/dead-letters/{execution_id}/replay",
    status_code=202,
    **door(Permission.DEAD_LETTER_REPLAY, Action.DEAD_LETTER_REPLAYED),
)
async def replay_dead_letter(
    execution_id: UUID, request: Request, services: ServicesDependency, caller: CallerDependency
) -> Response:
    """Run it again, once."""
    return await once(request, caller, lambda named: dead_letters.replay(services, named, execution_id), accepted)


@router.delete(
    "/dead-letters/{execution_id}",
    status_code=204,
    **door(Permission.DEAD_LETTER_DISMISS, Action.DEAD_LETTER_DISMISSED),
)
async def dismiss_dead_letter(execution_id: UUID, services: ServicesDependency, caller: CallerDependency) -> Response:
    """Take it off the list; its execution stays in the history."""
    await dead_letters.dismiss(services, caller, execution_id)
    return Response(status_code=204)
