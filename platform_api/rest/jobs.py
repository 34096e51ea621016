"""Jobs."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from platform_api.audit.actions import Action
from platform_api.domain.errors import FieldError, InvalidContent
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import JobStatus
from platform_api.ports.jobs import JobFilter, JobSort
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.job_body import CloneBody, JobBody, read_job, refuse_unstorable
from platform_api.rest.job_json import editable_json, job_json
from platform_api.rest.merge_patch import merged
from platform_api.rest.moments import moment
from platform_api.rest.paging import PageQuery, decode_cursor, encode_cursor, page_of
from platform_api.use_cases import jobs
from platform_api.use_cases.job_checks import etag_of
from platform_api.use_cases.jobs import JobView
from platform_api.use_cases.ownership import Wish
from rbac.permissions import Permission

router = APIRouter(tags=["jobs"])

JsonObject = Annotated[dict[str, Any], Body()]
IfMatch = Annotated[str | None, Header(description="The ETag that the change is meant for; 412 when it is stale.")]
IdempotencyKey = Annotated[
    str | None, Header(description="The same request with the same key within 24 hours takes effect once.")
]


class JobsQuery(PageQuery):
    """Filters and order of the list."""

    status: Literal["active", "disabled", "deleted"] | None = None
    type: Literal["python", "shell", "bash"] | None = None
    owner: Annotated[str | None, Field(description="An e-mail address, or `me`.")] = None
    team: Annotated[str | None, Field(description="A team's name.")] = None
    tag: Annotated[list[str], Field(description="Repeat it to ask for several tags at once.", default_factory=list)]
    q: Annotated[str | None, Field(max_length=200, description="Part of a name, description or tag.")] = None
    last_status: Annotated[
        Literal["queued", "running", "retrying", "success", "failed", "timed_out", "cancelled", "skipped", "crashed"]
        | None,
        Field(description="Status of the last execution."),
    ] = None
    sort: JobSort = JobSort.NAME

    def wanted(self) -> JobFilter:
        """The filters as the use case takes them."""
        refuse_unstorable(self.model_dump(mode="json"))
        return JobFilter(
            status=self.status,
            type="shell" if self.type == "bash" else self.type,
            owner=self.owner,
            team=self.team,
            tags=tuple(self.tag),
            q=self.q,
            last_status=self.last_status,
        )


def job_answer(view: JobView, status: int = 200) -> Response:
    """A job with its ETag, and where it is if it is new."""
    headers = {"ETag": etag_of(view.job)}
    if status == 201:
        headers["Location"] = f"/api/v1/jobs/{view.job.id}"
    return JSONResponse(job_json(view), status, headers)


def etags(if_match: str | None) -> frozenset[str] | None:
    """The tags of an ``If-Match`` header. A weak tag is compared by what it holds: nobody else makes any."""
    if if_match is None:
        return None
    return frozenset(tag.strip().removeprefix("W/") for tag in if_match.split(","))


@router.post("/jobs", status_code=201, **door(Permission.JOB_CREATE, Action.JOB_CREATED, body=JobBody))
async def create_job(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    body: JsonObject,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a job; it belongs to you and your team."""
    draft = read_job(body)
    return await once(
        request, caller, lambda who: jobs.create(services, who, draft), lambda view: job_answer(view, 201)
    )


@router.post("/jobs/validate", **door(Permission.JOB_VALIDATE, body=JobBody))
async def validate_job(services: ServicesDependency, caller: CallerDependency, body: JsonObject) -> dict[str, Any]:
    """Say what is wrong with a job, or when it would run, without making it."""
    dry = await jobs.validate(services, caller, read_job(body))
    return {
        "valid": True,
        "next_executions": [moment(tick) for tick in dry.next_executions],
        "description": dry.description,
    }


@router.get("/jobs", **door(Permission.JOB_LIST))
async def list_jobs(
    services: ServicesDependency, caller: CallerDependency, query: Annotated[JobsQuery, Query()]
) -> Response:
    """The jobs that you may see."""
    after = decode_cursor(query.cursor, 3)
    if after is not None and after.pop() != query.sort.value:
        raise InvalidContent.of("cursor", f"belongs to another order than {query.sort}; begin without a cursor")
    found = await jobs.page(services, caller, query.wanted(), query.sort, after, query.limit + 1)
    return JSONResponse(page_of(found, query.limit, job_json, lambda view: _place(view, query.sort)))


def _place(view: JobView, sort: JobSort) -> str:
    job = view.job
    keys = {"name": job.name, "created_at": job.created_at.isoformat(), "updated_at": job.updated_at.isoformat()}
    return encode_cursor(keys[sort.key], str(job.id), sort.value)


@router.get("/jobs/{job_id}", **door(Permission.JOB_VIEW))
async def get_job(services: ServicesDependency, caller: CallerDependency, job_id: UUID) -> Response:
    """One job."""
    return job_answer(await jobs.get(services, caller, job_id))


@router.put("/jobs/{job_id}", **door(Permission.JOB_EDIT, Action.JOB_UPDATED, body=JobBody))
async def replace_job(
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    body: JsonObject,
    if_match: IfMatch = None,
) -> Response:
    """Save a job anew; what the body leaves out has its default (the status stays). May give back a GET's answer."""
    draft = read_job(body, repeats_answer=True)
    return job_answer(await jobs.edit(services, caller, job_id, lambda job: draft, etags(if_match)))


@router.patch("/jobs/{job_id}", **door(Permission.JOB_EDIT, Action.JOB_UPDATED, body=JobBody))
async def change_job(
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    body: JsonObject,
    if_match: IfMatch = None,
) -> Response:
    """Change some fields of a job (JSON merge patch): null sets a field back to its default.

    `owner` (an e-mail address) and `team` (a name) hand it over.
    """
    refuse_unstorable(body)
    wish, changes = _wish(body)

    def draft_for(job: Job) -> JobDraft:
        return read_job(merged(editable_json(job), changes), repeats_answer=True)

    return job_answer(await jobs.edit(services, caller, job_id, draft_for, etags(if_match), wish))


def _wish(body: dict[str, Any]) -> tuple[Wish | None, dict[str, Any]]:
    """Whose the job is to be, and the rest of the body."""
    places = {name: body[name] for name in ("owner", "team") if body.get(name) is not None}
    faults = [FieldError(name, "must be a string") for name, value in places.items() if not isinstance(value, str)]
    if faults:
        raise InvalidContent(faults)
    changes = {name: value for name, value in body.items() if name not in ("owner", "team")}
    return (Wish(**places) if places else None), changes


@router.delete("/jobs/{job_id}", status_code=204, **door(Permission.JOB_DELETE, Action.JOB_DELETED))
async def delete_job(
    services: ServicesDependency, caller: CallerDependency, job_id: UUID, if_match: IfMatch = None
) -> Response:
    """Delete a job: it never runs again, its history stays."""
    await jobs.switch(services, caller, job_id, JobStatus.DELETED, etags(if_match))
    return Response(status_code=204)


@router.post("/jobs/{job_id}/enable", **door(Permission.JOB_ENABLE, Action.JOB_ENABLED))
async def enable_job(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Follow the job's schedule again, from now on."""
    tags = etags(if_match)
    return await once(
        request, caller, lambda who: jobs.switch(services, who, job_id, JobStatus.ACTIVE, tags), job_answer
    )


@router.post("/jobs/{job_id}/disable", **door(Permission.JOB_DISABLE, Action.JOB_DISABLED))
async def disable_job(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Do not follow the job's schedule until it is enabled; running it by hand still works."""
    tags = etags(if_match)
    return await once(
        request, caller, lambda who: jobs.switch(services, who, job_id, JobStatus.DISABLED, tags), job_answer
    )


@router.post("/jobs/{job_id}/clone", status_code=201, **door(Permission.JOB_CLONE, Action.JOB_CLONED))
async def clone_job(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    body: CloneBody | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a copy of a job that belongs to you; disabled, unless the body says otherwise."""
    wish = body or CloneBody()
    refuse_unstorable(wish.model_dump())
    return await once(
        request,
        caller,
        lambda who: jobs.clone(services, who, job_id, wish.name, JobStatus(wish.status)),
        lambda view: job_answer(view, 201),
    )
