"""Making a job and changing it: one form, checked as it is typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import accumulate
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from fastapi import Query, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import Conflict, InvalidContent, LimitReached, PlatformError, StaleVersion
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.job_records import Job
from platform_api.domain.retries import RetryPolicy
from platform_api.use_cases import jobs, runs, schedule
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.jobs import DryRun, JobView
from platform_api.use_cases.services import Services
from platform_api.web import job_form, words
from platform_api.web.answers import go
from platform_api.web.job_form import JobForm
from platform_api.web.rendering import render
from platform_api.web.schedules import on_the_clock
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()

#: In the order of how often they are meant.
PRESETS = (
    ("Every 5 minutes", "*/5 * * * *"),
    ("Hourly", "0 * * * *"),
    ("Daily at 02:00", "0 2 * * *"),
    ("Weekdays at 07:00", "0 7 * * 1-5"),
    ("Weekly, Sunday 03:00", "0 3 * * 0"),
    ("Monthly, the 1st", "0 4 1 * *"),
)

ZONES = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")

#: What the form is sent again with: the reason is told above it, nothing typed is lost.
_TOLD_ABOVE = (Conflict, StaleVersion, LimitReached)


@router.get("/jobs/new", **page(Permission.JOB_CREATE))
async def new(request: Request, caller: CallerDependency) -> Response:
    """An empty form."""
    return _form(request, job_form.empty(), None)


@router.post("/jobs/new", **page(Permission.JOB_CREATE, Action.JOB_CREATED))
async def create(request: Request, services: ServicesDependency, caller: CallerDependency) -> Response:
    """Make the job, or say what is wrong with it."""
    given = await _given(request)
    form = job_form.typed(given)

    async def save() -> JobView:
        return await jobs.create(services, caller, job_form.draft(form))

    return await _saved(request, services, caller, given, form, None, save)


@router.get("/jobs/{job_id}/edit", **page(Permission.JOB_EDIT))
async def edit(request: Request, services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """The form of a stored job."""
    job = (await jobs.get_for_edit(services, caller, job_id)).job
    return _form(request, job_form.of_job(job), job)


@router.post("/jobs/{job_id}/edit", **page(Permission.JOB_EDIT, Action.JOB_UPDATED))
async def change(request: Request, services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """Save a further version, or say what is wrong with it."""
    job = (await jobs.get_for_edit(services, caller, job_id)).job
    given = await _given(request)
    form = job_form.typed(given)

    def draft_for(stored: Job) -> JobDraft:
        return job_form.draft(form, stored)

    async def save() -> JobView:
        return await jobs.edit(services, caller, job_id, draft_for, None)

    return await _saved(request, services, caller, given, form, job, save)


async def _saved(
    request: Request,
    services: Services,
    caller: Caller,
    given: Mapping[str, str],
    form: JobForm,
    job: Job | None,
    save: Callable[[], Awaitable[JobView]],
) -> Response:
    """Do what the pressed button says; with a fault, the form again."""
    try:
        if given.get("action") == "validate":
            dry_run = await jobs.validate(services, caller, job_form.draft(form, job), present=job)
            return _form(request, form, job, dry_run=dry_run)
        view = await save()
    except InvalidContent as error:
        form.blame(error.errors)
        return _form(request, form, job, status=400)
    except _TOLD_ABOVE as error:
        form.general.append(str(error))
        if isinstance(error, Conflict):
            form.faults.setdefault("name", "is taken in your team; choose another")
        return _form(request, form, job, status=_status(error))
    return await _after(services, caller, view, run=given.get("action") == "run")


async def _after(services: Services, caller: Caller, view: JobView, *, run: bool) -> Response:
    job = view.job
    if run:
        started = await runs.run(services, caller, job.id, runs.Overrides())
        return go(f"/executions/{started.id}", f"“{job.name}” is saved, and this is its run.")
    if view.next_execution is None:
        return go(f"/jobs/{job.id}", f"“{job.name}” is saved. It runs when you start it.")
    return go(f"/jobs/{job.id}", f"“{job.name}” is saved. It runs next at {words.utc(view.next_execution)}.")


def _status(error: PlatformError) -> int:
    return {Conflict: 409, StaleVersion: 412, LimitReached: 429}[type(error)]


def _form(
    request: Request, form: JobForm, job: Job | None, status: int = 200, dry_run: DryRun | None = None
) -> Response:
    context: dict[str, Any] = {"form": form, "job": job, "dry_run": dry_run, "presets": PRESETS, "zones": ZONES}
    return render(request, "jobs/form.html", status, **context)


async def _given(request: Request) -> dict[str, str]:
    """The fields that were sent; an uploaded file is the script."""
    data: FormData = await request.form()
    given = {name: value for name, value in data.items() if isinstance(value, str)}
    upload = data.get("script_file")
    if isinstance(upload, UploadFile) and upload.size:
        given["script"] = (await upload.read()).decode("utf-8", errors="replace")
    return given


@router.get("/jobs/schedule-preview", **page(Permission.SCHEDULE_PREVIEW))
async def schedule_preview(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    schedule_text: Annotated[str, Query(alias="schedule")] = "",
    timezone: str = "UTC",
) -> Response:
    """A cron expression in words with its next five times, as it is typed."""
    context: dict[str, Any] = {"preview": None, "fault": None, "times": [], "timezone": timezone}
    if schedule_text.strip():
        try:
            context["preview"] = found = await schedule.preview(services, caller, schedule_text, timezone, 5)
            context["times"] = [(on_the_clock(tick, timezone), tick) for tick in found.next_executions]
        except InvalidContent as error:
            context["fault"] = "; ".join(fault.message for fault in error.errors)
    return render(request, "jobs/schedule_preview.html", **context)


@router.get("/jobs/retry-preview", **page(Permission.SCHEDULE_PREVIEW))
async def retry_preview(
    request: Request,
    caller: CallerDependency,
    max_retries: str = "0",
    retry_delay_minutes: str = "5",
    exponential_backoff: str = "",
) -> Response:
    """When the attempts of a run that keeps failing would start."""
    try:
        retries, minutes = int(max_retries or 0), float(retry_delay_minutes.replace(",", ".") or 5)
    except ValueError:
        retries, minutes = 0, 5.0
    known = 0 <= retries <= 5 and 0 < minutes <= 60
    policy = RetryPolicy(retries, round(minutes * 60), bool(exponential_backoff)) if known else RetryPolicy()
    return render(request, "jobs/retry_preview.html", attempts=timetable(policy))


def timetable(policy: RetryPolicy) -> list[timedelta]:
    """How long after the first failure each further attempt starts, should every one fail at once."""
    return list(accumulate(policy.delay_after(attempt) for attempt in range(1, policy.max_retries + 1)))
