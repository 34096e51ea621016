"""When a schedule would run, before a job has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from platform_api.domain.errors import FieldError, InvalidContent
from platform_api.domain.jobs import JobSpec, JobType
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import admit
from platform_api.use_cases.services import Services
from rbac.permissions import Permission

#: Clock changes are noted this far ahead.
NOTES_AHEAD = timedelta(days=350)


@dataclass(frozen=True, slots=True)
class SchedulePreview:
    """An expression that is accepted: in words, with its next ticks (UTC) and what clock changes do to it."""

    normalised: str
    description: str
    next_executions: list[datetime]
    notes: list[str]


async def preview(services: Services, caller: Caller, expression: str, timezone: str, count: int) -> SchedulePreview:
    """The next ``count`` times of a cron expression; raises ``InvalidContent`` where it is wrong."""
    await admit(services, caller, Permission.SCHEDULE_PREVIEW)
    spec = JobSpec(name="preview", type=JobType.SHELL, schedule=expression, timezone=timezone)
    now = services.clock.now()
    faults = services.ticks.check(spec, now)
    if faults:
        raise InvalidContent([_as_parameter(fault) for fault in faults])
    return SchedulePreview(
        normalised=services.ticks.normalise(expression),
        description=services.ticks.describe(expression, timezone),
        next_executions=list(islice(services.ticks.after(spec, now), count)),
        notes=services.ticks.notes(spec, now, now + NOTES_AHEAD),
    )


def _as_parameter(fault: FieldError) -> FieldError:
    return FieldError("expression", fault.message) if fault.field == "schedule" else fault
