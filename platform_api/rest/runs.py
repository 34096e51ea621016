"""Starting a job by hand, and running an execution again."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.ports.runs import NewRun
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.job_body import unstorable
from platform_api.use_cases import runs
from platform_api.use_cases.runs import Overrides
from rbac.permissions import Permission

router = APIRouter(tags=["executions"])


class RunBody(BaseModel):
    """What is different in this run only."""

    model_config = ConfigDict(extra="forbid", strict=True)

    arguments: Annotated[list[str] | None, Field(description="In place of the job's own arguments.")] = None
    env: Annotated[dict[str, str], Field(description="Added to the job's own variables, or over them.")] = {}

    def overrides(self) -> Overrides:
        """For the use case; refuses what could not be stored."""
        faults = list(unstorable(self.model_dump()))
        if faults:
            raise InvalidContent(faults)
        return Overrides(None if self.arguments is None else tuple(self.arguments), self.env)


@router.post("/jobs/{job_id}/run", status_code=202, **door(Permission.JOB_RUN, Action.JOB_RUN))
async def run_job(
    job_id: UUID,
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    body: RunBody | None = None,
) -> Response:
    """Run the job now, with its own settings or with others for this time."""
    overrides = (body or RunBody()).overrides()
    return await once(request, caller, lambda named: runs.run(services, named, job_id, overrides), accepted)


@router.post(
    "/executions/{execution_id}/retry", status_code=202, **door(Permission.EXECUTION_RETRY, Action.EXECUTION_RETRIED)
)
async def retry_execution(
    execution_id: UUID, request: Request, services: ServicesDependency, caller: CallerDependency
) -> Response:
    """Run an execution that is over again, as the job is now."""
    return await once(request, caller, lambda named: runs.retry(services, named, execution_id), accepted)


def accepted(new: NewRun) -> Response:
    """Where to follow the new execution."""
    document = {
        "execution_id": str(new.id),
        "job_id": str(new.job.id),
        "status": "queued",
        "triggered_by": new.triggered_by.value,
        "retry_of": str(new.retry_of) if new.retry_of else None,
    }
    return JSONResponse(document, 202, headers={"Location": f"/api/v1/executions/{new.id}"})
