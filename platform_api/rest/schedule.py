"""What a schedule means."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query

from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door
from platform_api.use_cases import schedule
from rbac.permissions import Permission

router = APIRouter(tags=["schedule"])


@router.get("/schedule/preview", **door(Permission.SCHEDULE_PREVIEW))
async def preview(
    services: ServicesDependency,
    caller: CallerDependency,
    expression: Annotated[str, Query(description="Five-field cron or a macro such as `@daily`.", max_length=500)],
    timezone: Annotated[str, Query(description="An IANA name such as `Europe/Berlin`.", max_length=100)] = "UTC",
    count: Annotated[int, Query(description="How many times to list.", ge=1, le=100)] = 5,
) -> dict[str, Any]:
    """The next times of a cron expression and what it says in words, or where it is wrong."""
    shown = await schedule.preview(services, caller, expression, timezone, count)
    zone = ZoneInfo(timezone)
    return {
        "expression": expression,
        "normalised": shown.normalised,
        "timezone": timezone,
        "description": shown.description,
        "next_executions": shown.next_executions,
        "next_executions_local": [moment.astimezone(zone).isoformat() for moment in shown.next_executions],
        "notes": shown.notes,
    }
