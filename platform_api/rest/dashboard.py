"""What a person sees first, as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.jobs import JobStatus
from platform_api.ports.dashboard import DashboardFigures
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door
from platform_api.rest.executions import Words
from platform_api.rest.moments import as_json
from platform_api.use_cases import dashboard
from rbac.permissions import Permission

router = APIRouter(tags=["dashboard"])


class DashboardQuery(BaseModel):
    """Whose figures."""

    model_config = ConfigDict(extra="forbid")

    team: Annotated[Words, Field(description="Only this team's jobs.")] = None


@router.get("/dashboard", **door(Permission.DASHBOARD_VIEW))
async def show_dashboard(
    query: Annotated[DashboardQuery, Query()], services: ServicesDependency, caller: CallerDependency
) -> dict[str, Any]:
    """Totals, the executions of 24 hours, the success rate of 7 days, the jobs that need attention."""
    return _render(await dashboard.show(services, caller, query.team))


def _render(figures: DashboardFigures) -> dict[str, Any]:
    by_status = {status.value: figures.executions_24h.get(status, 0) for status in ExecutionStatus}
    document = {
        "total_jobs": sum(figures.jobs_by_status.values()),
        "active_jobs": figures.jobs_by_status.get(JobStatus.ACTIVE, 0),
        "disabled_jobs": figures.jobs_by_status.get(JobStatus.DISABLED, 0),
        "executions_24h": {"total": sum(by_status.values()), **by_status},
        "success_rate_7d": figures.success_rate_7d,
        "running_now": figures.running_now,
        "failed_jobs": figures.failed_jobs,
    }
    return as_json(document)
