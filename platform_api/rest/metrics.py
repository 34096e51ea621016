"""Figures about one job."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from platform_api.ports.metrics import JobFigures
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door
from platform_api.rest.executions import SpanQuery
from platform_api.rest.moments import as_json
from platform_api.use_cases import metrics
from rbac.permissions import Permission

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{job_id}/metrics", **door(Permission.METRICS_VIEW))
async def job_metrics(
    job_id: UUID, span: Annotated[SpanQuery, Query()], services: ServicesDependency, caller: CallerDependency
) -> dict[str, Any]:
    """How the job fared: counts, the share of successes, durations, the last execution."""
    since, until = span.moments()
    return _render(job_id, span, await metrics.of_job(services, caller, job_id, since, until))


def _render(job_id: UUID, span: SpanQuery, figures: JobFigures) -> dict[str, Any]:
    since, until = span.moments()
    document = {
        "job_id": job_id,
        "from": since,
        "to": until,
        "total": figures.total,
        "success_count": figures.success_count,
        "failure_count": figures.failure_count,
        "success_rate": figures.success_rate,
        "avg_duration_seconds": figures.avg_duration_seconds,
        "median_duration_seconds": figures.median_duration_seconds,
        "p95_duration_seconds": figures.p95_duration_seconds,
        "last_execution": figures.last_execution,
    }
    return as_json(document)
