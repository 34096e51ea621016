"""One job: what it is, when it runs, why it has not, how it fared, and what can be done with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import JobStatus
from platform_api.rest.job_json import spec_json
from platform_api.use_cases import executions, job_story, jobs, metrics, runs
from platform_api.use_cases.caller import Caller
from platform_api.web import schedules
from platform_api.web.answers import go, is_htmx
from platform_api.web.history import HistoryQuery, chart_of
from platform_api.web.job_form import read_arguments, read_pairs
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission
from rbac.policy import Resource, decide

router = pages()

HISTORY = 30
CHARTED = 200


def may(caller: Caller, job: Job, permission: Permission) -> bool:
    """Whether a button makes sense; the use case decides again."""
    return decide(caller.principal, permission, Resource(job.owner_id, job.team_id)).allowed


@router.get("/jobs/{job_id}", **page(Permission.JOB_VIEW))
async def show(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    query: Annotated[HistoryQuery, Query()],
) -> Response:
    """Everything about one job; for htmx its history alone."""
    view = await jobs.get_with_deleted(services, caller, job_id)
    wanted = query.wanted(job_id)
    found = await executions.list_of_job(services, caller, job_id, wanted, query.behind(), HISTORY + 1)
    context: dict[str, Any] = {
        "view": view,
        "job": view.job,
        "query": query,
        "history": found[:HISTORY],
        "next": query.address(job_id, found[HISTORY - 1].execution) if len(found) > HISTORY else None,
        "statuses": list(ExecutionStatus),
    }
    if is_htmx(request):
        return render(request, "jobs/history.html", **context)
    now = services.clock.now()
    context |= {
        "story": await job_story.of_job(services, caller, job_id),
        "figures": await metrics.of_job(services, caller, job_id, now - timedelta(days=7), None),
        "schedule": schedules.in_words(services.ticks, view.job.spec),
        "spec": spec_json(view.job.spec),
        "has_versions": any(getattr(route, "path", "") == "/jobs/{job_id}/versions" for route in request.app.routes),
        "may": {permission.name: may(caller, view.job, permission) for permission in _ACTS},
    }
    return render(request, "jobs/job.html", **context)


_ACTS = (
    Permission.JOB_EDIT,
    Permission.JOB_RUN,
    Permission.JOB_ENABLE,
    Permission.JOB_CLONE,
    Permission.JOB_DELETE,
)


@router.get("/jobs/{job_id}/chart", **page(Permission.METRICS_VIEW))
async def chart(services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """The last runs as the chart draws them."""
    job = (await jobs.get_with_deleted(services, caller, job_id)).job
    recent = await metrics.recent_of_jobs(services, caller, [job], CHARTED)
    return JSONResponse(chart_of(recent.get(job_id, [])), headers={"Cache-Control": "no-store"})


class RunForm(BaseModel):
    """What is different in this run; empty fields change nothing."""

    arguments: str = ""
    env: str = ""


@router.post("/jobs/{job_id}/run", **page(Permission.JOB_RUN, Action.JOB_RUN))
async def run(
    services: ServicesDependency, caller: CallerDependency, job_id: UUID, form: Annotated[RunForm, Form()]
) -> Response:
    """Start it now, and show its log."""
    arguments = read_arguments(form.arguments)
    overrides = runs.Overrides(tuple(arguments) if arguments else None, read_pairs(form.env))
    try:
        started = await runs.run(services, caller, job_id, overrides)
    except InvalidContent as error:
        told = "; ".join(f"{fault.field} {fault.message}" for fault in error.errors)
        return go(f"/jobs/{job_id}", f"It was not started: {told}", "bad")
    return go(f"/executions/{started.id}")


async def _switched(
    services: ServicesDependency, caller: CallerDependency, job_id: UUID, status: JobStatus, told: str, path: str
) -> Response:
    view = await jobs.switch(services, caller, job_id, status)
    return go(path, f"“{view.job.name}” {told}")


@router.post("/jobs/{job_id}/enable", **page(Permission.JOB_ENABLE, Action.JOB_ENABLED))
async def enable(services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """Follow its schedule again."""
    return await _switched(services, caller, job_id, JobStatus.ACTIVE, "follows its schedule again.", f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/disable", **page(Permission.JOB_DISABLE, Action.JOB_DISABLED))
async def disable(services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """Do not follow its schedule until it is enabled."""
    told = "is disabled: its schedule is not followed until you enable it."
    return await _switched(services, caller, job_id, JobStatus.DISABLED, told, f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/delete", **page(Permission.JOB_DELETE, Action.JOB_DELETED))
async def delete(services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """It never runs again; its history stays."""
    return await _switched(
        services, caller, job_id, JobStatus.DELETED, "is deleted. Its history stays under “Status: deleted”.", "/jobs"
    )


@router.post("/jobs/{job_id}/clone", **page(Permission.JOB_CLONE, Action.JOB_CLONED))
async def clone(services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """A copy of one's own, to be changed before it is enabled."""
    view = await jobs.clone(services, caller, job_id, None)
    return go(f"/jobs/{view.job.id}/edit", "This is the copy. It is disabled until you make it active below.")
