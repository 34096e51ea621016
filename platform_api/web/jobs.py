"""The list of jobs, and what can be done to several at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import JobStatus
from platform_api.ports.jobs import JobFilter, JobSort
from platform_api.ports.metrics import RecentRun
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.paging import decode_cursor, encode_cursor
from platform_api.use_cases import jobs, metrics, runs
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.jobs import JobView
from platform_api.use_cases.services import Services
from platform_api.web import schedules
from platform_api.web.answers import go, is_htmx
from platform_api.web.figures import success_rate
from platform_api.web.many import each, reasons
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()

PAGE = 50
#: A row's picture and its success rate look this far back.
RUNS_SHOWN = 30

SORTS = (
    ("name", "Name, A to Z"),
    ("-name", "Name, Z to A"),
    ("-created_at", "Newest first"),
    ("-updated_at", "Changed last"),
)


class Filters(BaseModel):
    """What the form above the list asks for; empty fields ask for nothing, and unknown ones are left alone."""

    q: Annotated[str, Field(max_length=200)] = ""
    status: str = ""
    last_status: str = ""
    type: str = ""
    owner: str = ""
    team: str = ""
    tag: str = ""
    sort: str = "name"
    cursor: str = ""

    def wanted(self) -> JobFilter:
        """As the use case takes it; a word that is none of a list's is as good as none."""
        refuse_unstorable(self.model_dump())
        return JobFilter(
            status=self.status if self.status in ("active", "disabled", "deleted") else None,
            type=self.type if self.type in ("python", "shell") else None,
            owner=self.owner or None,
            team=self.team or None,
            tags=(self.tag,) if self.tag else (),
            q=self.q.strip() or None,
            last_status=self.last_status if self.last_status in list(ExecutionStatus) else None,
        )

    @property
    def order(self) -> JobSort:
        """The order, by name where the word is none."""
        return JobSort(self.sort) if self.sort in list(JobSort) else JobSort.NAME

    @property
    def are_set(self) -> bool:
        """Whether anything is filtered."""
        return self.wanted() != JobFilter()

    def address(self, **changed: str) -> str:
        """The list with these filters, changed."""
        given = {name: value for name, value in {**self.model_dump(), **changed}.items() if value}
        if given.get("sort") == "name":
            del given["sort"]
        return "/jobs" + (f"?{urlencode(given)}" if given else "")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    view: JobView
    schedule: str
    runs: list[RecentRun] = field(default_factory=list)

    @property
    def job(self) -> Job:
        """The job itself."""
        return self.view.job

    @property
    def success_rate(self) -> float | None:
        """Of the runs that are shown."""
        return success_rate(self.runs)


@router.get("/jobs", **page(Permission.JOB_LIST))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, filters: Annotated[Filters, Query()]
) -> Response:
    """The jobs that the caller may see; for htmx the list alone."""
    found = await jobs.page(
        services, caller, filters.wanted(), filters.order, decode_cursor(filters.cursor or None, 2), PAGE + 1
    )
    total, choices = await jobs.overview(services, caller, filters.wanted())
    context: dict[str, Any] = {
        "rows": await _rows(services, caller, found[:PAGE]),
        "filters": filters,
        "total": total,
        "choices": choices,
        "sorts": SORTS,
        "statuses": list(ExecutionStatus),
        "next": filters.address(cursor=_behind(found[PAGE - 1].job, filters.order)) if len(found) > PAGE else None,
        "first": filters.address(cursor="") if filters.cursor else None,
    }
    return render(request, "jobs/list.html" if is_htmx(request) else "jobs/page.html", **context)


async def _rows(services: Services, caller: Caller, found: list[JobView]) -> list[Row]:
    recent = await metrics.recent_of_jobs(services, caller, [view.job for view in found], RUNS_SHOWN)
    return [
        Row(view, schedules.in_words(services.ticks, view.job.spec), list(recent.get(view.job.id, ())))
        for view in found
    ]


def _behind(job: Job, sort: JobSort) -> str:
    key = job.name if sort.key == "name" else getattr(job, sort.key).isoformat()
    return encode_cursor(key, str(job.id))


class Bulk(BaseModel):
    """Which jobs, and what is to be done to them."""

    action: str
    job_id: list[UUID] = []
    tag: str = ""


@router.post("/jobs/bulk", **page(Permission.JOB_EDIT, Action.JOB_UPDATED))
async def bulk(
    request: Request, services: ServicesDependency, caller: CallerDependency, form: Annotated[Bulk, Form()]
) -> Response:
    """Do the same to several jobs; what is refused is told, the rest is done."""
    back = request.headers.get("referer", "")
    address = "/jobs" + (f"?{back.partition('?')[2]}" if "?" in back else "")
    act = _acts(services, caller, form).get(form.action)
    if act is None or not form.job_id:
        return go(address, "Choose jobs first.", "info")
    refusals = await each(form.job_id, act[1])
    done = len(form.job_id) - len(refusals)
    told = f"{act[0]}: {done} of {len(form.job_id)} jobs."
    if refusals:
        return go(address, f"{told} Refused: {reasons(refusals)}", "bad")
    return go(address, told)


def _acts(services: Services, caller: Caller, form: Bulk) -> dict[str, tuple[str, Callable[[UUID], Awaitable[object]]]]:
    tag = form.tag.strip()

    def tagged(job: Job) -> JobDraft:
        return JobDraft(replace(job.spec, tags=tuple(dict.fromkeys([*job.spec.tags, tag]))))

    acts: dict[str, tuple[str, Callable[[UUID], Awaitable[object]]]] = {
        "enable": ("Enabled", lambda job_id: jobs.switch(services, caller, job_id, JobStatus.ACTIVE)),
        "disable": ("Disabled", lambda job_id: jobs.switch(services, caller, job_id, JobStatus.DISABLED)),
        "delete": ("Deleted", lambda job_id: jobs.switch(services, caller, job_id, JobStatus.DELETED)),
        "run": ("Started", lambda job_id: runs.run(services, caller, job_id, runs.Overrides())),
    }
    if tag:
        acts["tag"] = (f"Tagged “{tag}”", lambda job_id: jobs.edit(services, caller, job_id, tagged, None))
    return acts
