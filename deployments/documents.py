"""A job as the fields of a Prefect deployment."""

from __future__ import annotations

import re
from typing import Any

from platform_api.domain.jobs import JobStatus
from platform_api.ports.orchestrator import DeploymentIntent

FLOW_NAME = "run-script"
#: Where a stock Prefect worker finds the flow: a module path, so no folder is copied for each run.
ENTRYPOINT = "flows.run_script.run_script"
#: Marks the deployments that are ours to change.
PLATFORM_TAG = "job-platform"

_PARAMETERS = {
    "title": "Parameters",
    "type": "object",
    "required": ["job_id"],
    "properties": {"job_id": {"title": "job_id", "type": "string", "format": "uuid", "position": 0}},
}


def deployment_name(intent: DeploymentIntent) -> str:
    """The name that a new deployment gets; it keeps it when the job is renamed."""
    slug = re.sub(r"[^a-z0-9]+", "-", intent.spec.name.lower()).strip("-")[:60].rstrip("-") or "job"
    return f"{slug}{name_ending(intent)}"


def name_ending(intent: DeploymentIntent) -> str:
    """How the deployment's name ends whatever the job was called; the id's end, as its beginning is a clock."""
    return f"-{intent.job_id.hex[-8:]}"


def changeable_fields(intent: DeploymentIntent) -> dict[str, Any]:
    """The fields that follow the job; its schedules are apart."""
    return {
        "version": str(intent.version),
        "description": _description(intent),
        "tags": [
            PLATFORM_TAG,
            f"job:{intent.spec.name}",
            f"team:{intent.team}",
            f"owner:{intent.owner}",
        ],
        "parameters": {"job_id": str(intent.job_id)},
        "paused": intent.status is not JobStatus.ACTIVE,
        "entrypoint": ENTRYPOINT,
    }


def new_deployment(intent: DeploymentIntent, flow_id: str, work_pool: str) -> dict[str, Any]:
    """The body that creates the deployment, without its schedules."""
    return {
        **changeable_fields(intent),
        "name": deployment_name(intent),
        "flow_id": flow_id,
        "work_pool_name": work_pool,
        "enforce_parameter_schema": True,
        "parameter_openapi_schema": _PARAMETERS,
    }


def _description(intent: DeploymentIntent) -> str:
    link = f"[{intent.spec.name}]({intent.page_url})"
    note = f"Job {link}. Edit it there: changes made here are overwritten."
    return f"{intent.spec.description}\n\n{note}" if intent.spec.description else note
