"""The versions of a job: the list, two beside each other, and back to an earlier one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import NotFound
from platform_api.domain.job_records import Job, JobVersion
from platform_api.use_cases import jobs, versions
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.job_access import resource_of
from platform_api.use_cases.job_checks import etag_of
from platform_api.use_cases.services import Services
from platform_api.web.answers import go
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from platform_api.web.side_by_side import compare
from platform_api.web.values import in_words
from rbac.permissions import Permission
from rbac.policy import decide

router = pages()

PAGE = 50

Number = Annotated[int | None, Query(ge=1, lt=2**31)]


class Back(BaseModel):
    """To which version, and which state of the job the reader saw."""

    version: Annotated[int, Field(ge=1, lt=2**31)]
    seen: Annotated[str, Field(max_length=100)]


@router.get("/jobs/{job_id}/versions", **page(Permission.VERSION_VIEW))
async def show(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    old: Number = None,
    new: Number = None,
    before: Number = None,
) -> Response:
    """Every saved change, newest first, and what differs between two of them: the last change unless they are named."""
    found = await versions.page(services, caller, job_id, before, PAGE + 1)
    job = await _present(services, caller, job_id)
    chosen = _chosen(found, old, new)
    context: dict[str, Any] = {
        "job_id": job_id,
        "versions": found[:PAGE],
        "newest": job.version if job else (found[0].version if found else 0),
        "name": job.name if job else (found[0].spec.name if found else "Deleted job"),
        "chosen": chosen,
        "seen": etag_of(job) if job and _may_roll_back(caller, job) else None,
        "first": f"/jobs/{job_id}/versions" if before else None,
        "next": f"/jobs/{job_id}/versions?before={found[PAGE - 1].version}" if len(found) > PAGE else None,
    }
    if chosen is not None:
        context |= await _compared(services, caller, job_id, *chosen)
    return render(request, "versions/page.html", **context)


@router.post("/jobs/{job_id}/versions/rollback", **page(Permission.JOB_ROLLBACK, Action.JOB_ROLLED_BACK))
async def roll_back(
    services: ServicesDependency, caller: CallerDependency, job_id: UUID, form: Annotated[Back, Form()]
) -> Response:
    """Save an earlier version anew, unless the job has changed since the reader looked."""
    view = await versions.rollback(services, caller, job_id, form.version, frozenset({form.seen}))
    told = f"Rolled back: version {view.job.version} says what version {form.version} said."
    return go(f"/jobs/{job_id}/versions", told)


async def _present(services: Services, caller: Caller, job_id: UUID) -> Job | None:
    """The job as it is; a deleted one has nothing but its versions."""
    try:
        return (await jobs.get(services, caller, job_id)).job
    except NotFound:
        return None


def _may_roll_back(caller: Caller, job: Job) -> bool:
    return decide(caller.principal, Permission.JOB_ROLLBACK, resource_of(job)).allowed


def _chosen(found: list[JobVersion], old: int | None, new: int | None) -> tuple[int, int] | None:
    if old is not None and new is not None:
        return old, new
    return (found[1].version, found[0].version) if len(found) > 1 else None


async def _compared(services: Services, caller: Caller, job_id: UUID, old: int, new: int) -> dict[str, Any]:
    difference = await versions.diff(services, caller, job_id, old, new)
    return {
        "difference": difference,
        "fields": [
            (change.field, in_words(change.old), in_words(change.new))
            for change in difference.fields
            if change.field != "script"
        ],
        "script": await asyncio.to_thread(compare, difference.script),
    }
