"""Failures that wait for a person: look, run again, or put away; one at a time or many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.rest.executions import cursor_at, place_of
from platform_api.use_cases import dead_letters
from platform_api.use_cases.executions import Shown
from platform_api.web.answers import go, is_htmx
from platform_api.web.many import each, reasons
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission
from rbac.roles import reaches

router = pages()

PAGE = 50

Cursor = Annotated[str, Query(max_length=2000)]


class Chosen(BaseModel):
    """Which of them a form is about."""

    execution_id: Annotated[list[UUID], Field(max_length=PAGE)] = []


@router.get("/dead-letters", **page(Permission.DEAD_LETTER_LIST))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, cursor: Cursor = ""
) -> Response:
    """Executions that failed after their last attempt and nobody has dealt with, the latest first."""
    found = await dead_letters.list_page(services, caller, place_of(cursor or None), PAGE + 1)
    context: dict[str, Any] = {
        "rows": found[:PAGE],
        "may_act": bool(reaches(caller.principal.role, Permission.DEAD_LETTER_REPLAY)),
        "address": f"/dead-letters?cursor={cursor}" if cursor else "/dead-letters",
        "first": "/dead-letters" if cursor else None,
        "next": f"/dead-letters?cursor={_behind(found[PAGE - 1])}" if len(found) > PAGE else None,
    }
    return render(request, "dead_letters/list.html" if is_htmx(request) else "dead_letters/page.html", **context)


@router.post("/dead-letters/replay", **page(Permission.DEAD_LETTER_REPLAY, Action.DEAD_LETTER_REPLAYED))
async def replay(services: ServicesDependency, caller: CallerDependency, form: Annotated[Chosen, Form()]) -> Response:
    """Run each again, once; what is refused is told, the rest is done."""
    if len(form.execution_id) == 1:
        # One is done or refused as a whole; its reader wants to see it run.
        new = await dead_letters.replay(services, caller, form.execution_id[0])
        return go(f"/executions/{new.id}", "It runs again. This is the new execution.")
    return await _each("Run again", form, lambda one: dead_letters.replay(services, caller, one))


@router.post("/dead-letters/dismiss", **page(Permission.DEAD_LETTER_DISMISS, Action.DEAD_LETTER_DISMISSED))
async def dismiss(services: ServicesDependency, caller: CallerDependency, form: Annotated[Chosen, Form()]) -> Response:
    """Take each off the list; the executions stay in the history."""
    return await _each("Dismissed", form, lambda one: dead_letters.dismiss(services, caller, one))


async def _each(words: str, form: Chosen, act: Callable[[UUID], Awaitable[object]]) -> Response:
    if not form.execution_id:
        return go("/dead-letters", "Choose some first.", "info")
    refusals = await each(form.execution_id, act)
    told = f"{words}: {len(form.execution_id) - len(refusals)} of {len(form.execution_id)}."
    if refusals:
        return go("/dead-letters", f"{told} Refused: {reasons(refusals)}", "bad")
    return go("/dead-letters", told)


def _behind(shown: Shown) -> str:
    return cursor_at(shown.execution.ended_at, shown)
