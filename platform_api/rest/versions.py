"""The versions of a job."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.job_body import RollbackBody
from platform_api.rest.job_json import version_json
from platform_api.rest.jobs import IdempotencyKey, IfMatch, etags, job_answer
from platform_api.rest.paging import PageDependency, decode_cursor, encode_cursor, page_of
from platform_api.use_cases import versions
from rbac.permissions import Permission

router = APIRouter(tags=["versions"])


@router.get("/jobs/{job_id}/versions", **door(Permission.VERSION_VIEW))
async def list_versions(
    services: ServicesDependency, caller: CallerDependency, job_id: UUID, query: PageDependency
) -> dict[str, Any]:
    """Every saved change of a job, newest first."""
    before = _version_number(query.cursor)
    found = await versions.page(services, caller, job_id, before, query.limit + 1)
    return page_of(found, query.limit, version_json, lambda version: encode_cursor(version.version))


def _version_number(cursor: str | None) -> int | None:
    place = decode_cursor(cursor, 1)
    if place is None:
        return None
    if type(place[0]) is not int or not 0 < place[0] < 2**31:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page")
    return place[0]


@router.get("/jobs/{job_id}/versions/{version}", **door(Permission.VERSION_VIEW))
async def get_version(
    services: ServicesDependency, caller: CallerDependency, job_id: UUID, version: int
) -> dict[str, Any]:
    """One saved change of a job."""
    return version_json(await versions.get(services, caller, job_id, version))


@router.get("/jobs/{job_id}/versions/{old}/diff/{new}", **door(Permission.VERSION_VIEW))
async def diff_versions(
    services: ServicesDependency, caller: CallerDependency, job_id: UUID, old: int, new: int
) -> dict[str, Any]:
    """What changed from one version to another: field by field, and the script line by line."""
    found = await versions.diff(services, caller, job_id, old, new)
    return {
        "from": found.old.version,
        "to": found.new.version,
        "fields": [asdict(change) for change in found.fields],
        "script": [asdict(line) for line in found.script],
    }


@router.post("/jobs/{job_id}/rollback", **door(Permission.JOB_ROLLBACK, Action.JOB_ROLLED_BACK))
async def roll_back(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    job_id: UUID,
    body: RollbackBody,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Save an earlier version anew, as the newest."""
    tags = etags(if_match)
    return await once(
        request,
        caller,
        lambda who: versions.rollback(services, who, job_id, body.version, tags),
        job_answer,
    )
