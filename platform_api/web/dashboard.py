"""What a person sees first: what runs, what failed, how the week went and what the next day brings."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from platform_api.domain.executions import ExecutionStatus
from platform_api.ports.executions import ExecutionFilter
from platform_api.ports.jobs import JobFilter
from platform_api.use_cases import dashboard, executions, jobs
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()

RUNNING_SHOWN = 8
#: In the order in which the day's picture stacks them.
_DAY = (
    ExecutionStatus.SUCCESS,
    ExecutionStatus.FAILED,
    ExecutionStatus.TIMED_OUT,
    ExecutionStatus.CRASHED,
    ExecutionStatus.RUNNING,
    ExecutionStatus.RETRYING,
    ExecutionStatus.QUEUED,
    ExecutionStatus.SKIPPED,
    ExecutionStatus.CANCELLED,
)


class Part(BaseModel):
    """Whose jobs count; empty is everybody's that one may see."""

    team: str = ""
    owner: str = ""

    @property
    def address(self) -> str:
        """The same part for another address."""
        given = {name: value for name, value in self.model_dump().items() if value}
        return f"?{urlencode(given)}" if given else ""


@router.get("/", **page(Permission.DASHBOARD_VIEW))
@router.get("/dashboard", **page(Permission.DASHBOARD_VIEW))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, part: Annotated[Part, Query()]
) -> Response:
    """Totals, what runs, what needs attention; the week follows in a second request."""
    figures = await dashboard.show(services, caller, part.team or None, part.owner or None)
    running = ExecutionFilter(
        (ExecutionStatus.RUNNING, ExecutionStatus.RETRYING), team=part.team or None, owner=part.owner or None
    )
    _, choices = await jobs.overview(services, caller, JobFilter())
    day = [(status, figures.executions_24h.get(status, 0)) for status in _DAY]
    context: dict[str, Any] = {
        "figures": figures,
        "part": part,
        "choices": choices,
        "running": await executions.list_page(services, caller, running, None, RUNNING_SHOWN),
        "total_jobs": sum(figures.jobs_by_status.values()),
        "day": [(status, count) for status, count in day if count],
        "day_total": sum(count for _, count in day),
    }
    return render(request, "dashboard/page.html", **context)


@router.get("/dashboard/week", **page(Permission.DASHBOARD_VIEW))
async def week(
    request: Request, services: ServicesDependency, caller: CallerDependency, part: Annotated[Part, Query()]
) -> Response:
    """The week that was and the day that comes."""
    found = await dashboard.trends(services, caller, part.team or None, part.owner or None)
    ahead = await dashboard.forecast(services, caller, part.team or None, part.owner or None)
    now = services.clock.now()
    trend = {
        "from": (now - timedelta(days=7)).timestamp(),
        "to": now.timestamp(),
        "times": [span.start.timestamp() for span in found.spans],
        "good": [span.successes for span in found.spans],
        "bad": [span.failures for span in found.spans],
    }
    hours = {"times": [hour.timestamp() for hour, _ in ahead], "counts": [count for _, count in ahead]}
    context: dict[str, Any] = {
        "found": found,
        "trend": json.dumps(trend),
        "forecast": json.dumps(hours),
        "expected": sum(count for _, count in ahead),
        "busiest": max(ahead, key=lambda hour: hour[1]),
    }
    return render(request, "dashboard/week.html", **context)
