"""What a person sees first."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from platform_api.audit.entries import Subject
from platform_api.domain.jobs import JobSpec, JobStatus
from platform_api.ports.dashboard import DashboardFigures, JobRecord, Span
from platform_api.ports.jobs import JobFilter
from platform_api.ports.ticks import Ticks
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.services import Services
from rbac.permissions import Permission

#: Of the slowest and of the flakiest jobs.
JOBS_NAMED = 5


async def show(services: Services, caller: Caller, team: str | None, owner: str | None = None) -> DashboardFigures:
    """The figures of all that the caller may see, or of one team's or member's part of it."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.DASHBOARD_VIEW, Subject("dashboard"))
        return await uow.dashboard.figures(caller.principal, team, services.clock.now(), owner)


@dataclass(frozen=True, slots=True)
class Trends:
    """What a week says: its spans, the slowest jobs, and those that fail now and then."""

    spans: list[Span]
    slowest: list[JobRecord]
    flakiest: list[JobRecord]


async def trends(services: Services, caller: Caller, team: str | None, owner: str | None) -> Trends:
    """The week of all that the caller may see, or of a part of it."""
    now = services.clock.now()
    async with guarded(services, caller) as uow:
        require(caller, Permission.DASHBOARD_VIEW, Subject("dashboard"))
        spans = await uow.dashboard.trend(caller.principal, team, owner, now)
        records = await uow.dashboard.records(caller.principal, team, owner, now)
    slowest = sorted(records, key=lambda record: -(record.average_seconds or 0))
    flakiest = sorted((r for r in records if r.failures), key=lambda r: (-r.failure_rate, -r.failures))
    return Trends(spans, slowest[:JOBS_NAMED], flakiest[:JOBS_NAMED])


async def forecast(
    services: Services, caller: Caller, team: str | None, owner: str | None
) -> list[tuple[datetime, int]]:
    """How many runs each of the next 24 hours will start, by the schedules as they are."""
    wanted = JobFilter(status=JobStatus.ACTIVE, team=team, owner=owner)
    async with guarded(services, caller) as uow:
        require(caller, Permission.DASHBOARD_VIEW, Subject("dashboard"))
        shared = await uow.jobs.schedules(caller.principal, wanted)
    now = services.clock.now()
    # Calendar arithmetic for thousands of jobs is work for a core: other requests are not to wait for it.
    return await asyncio.to_thread(_by_hour, services.ticks, shared, now)


def _by_hour(ticks: Ticks, shared: list[tuple[JobSpec, int]], now: datetime) -> list[tuple[datetime, int]]:
    start = now.replace(minute=0, second=0, microsecond=0)
    end = now + timedelta(hours=24)
    counts: Counter[datetime] = Counter()
    for spec, jobs in shared:
        for tick in takewhile(lambda moment: moment < end, ticks.after(spec, now)):
            counts[tick.replace(minute=0, second=0, microsecond=0)] += jobs
    return [(hour, counts[hour]) for hour in (start + timedelta(hours=n) for n in range(25))]
