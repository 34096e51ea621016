"""Our own look at the calendar: no tick is late or lost because Prefect, or everything, was away (decision 0012)."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.jobs import JobStatus
from platform_api.ports.claims import Admission, ProposedJob
from platform_api.ports.reports import PrefectState, Report, ReportKind
from platform_api.ports.ticks import Ticks
from platform_api.ports.unit_of_work import UnitOfWork
from work_pools import messages
from work_pools.equipment import Equipment
from work_pools.missed import settle
from work_pools.timer import Timer

logger = logging.getLogger(__name__)

#: A tick for which Prefect has proposed nothing is taken from our own calendar so long before it is due.
LEAD = timedelta(seconds=2)

PAUSE_SECONDS = 0.5

#: Jobs of one transaction, and missed ticks after which it takes no further job.
JOBS_AT_ONCE = 500
TICKS_AT_ONCE = 5_000

#: Of one job's missed ticks so many are recorded, the newest (an every-minute job's week).
RECORDED_AT_MOST = 10_000

#: A job whose calendar cannot be read is looked at again after this long.
AGAIN_AFTER = timedelta(minutes=1)

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page:
    """A job's ticks that are to be settled, and its next one."""

    job: ProposedJob
    ticks: list[datetime]
    next_tick: datetime | None


class AgendaKeeper:
    """Gives each tick that has come its execution, whoever has failed to propose it."""

    def __init__(self, equipment: Equipment, timer: Timer) -> None:
        self._equipment = equipment
        self._timer = timer

    async def step(self) -> None:
        """Settle what has come up; pause only when nothing more has."""
        if not await self.round():
            await asyncio.sleep(PAUSE_SECONDS)

    async def round(self) -> bool:
        """Settle in one transaction; True when there is more."""
        now = self._equipment.now()
        async with self._equipment.uow() as uow:
            entries = await uow.agenda.due(now + LEAD, JOBS_AT_ONCE)
            if not entries:
                return False
            jobs = await uow.claims.jobs(list(entries))
            # Hundreds of calendars take a while; what is due meanwhile must start.
            pages = await asyncio.to_thread(_pages, jobs, entries, self._equipment.ticks, now + LEAD)
            written = await self._write(uow, pages, now)
            await uow.agenda.settle({page.job.id: page.next_tick for page in pages})
        self._expect(written)
        return len(pages) < len(entries) or len(entries) == JOBS_AT_ONCE

    async def _write(self, uow: UnitOfWork, pages: list[Page], now: datetime) -> list[Admission]:
        wanted = [(page.job.id, tick) for page in pages for tick in page.ticks]
        if not wanted:
            return []
        taken: defaultdict[UUID, set[datetime]] = defaultdict(set)
        for job_id, tick in await uow.claims.ticks_taken(wanted):
            taken[job_id].add(tick)
        at_most = self._equipment.settings.catch_up_at_most
        admissions = [a for page in pages for a in settle(page.job, page.ticks, taken[page.job.id], now, at_most)]
        return await self._admit(uow, admissions) if admissions else []

    async def _admit(self, uow: UnitOfWork, admissions: list[Admission]) -> list[Admission]:
        """Prefect may propose one of them at this moment; then that run is the tick's."""
        worker, pool = self._equipment.worker, self._equipment.pool
        ids = await uow.claims.admit(worker.id, pool, admissions, proposed=False)
        written = [admission for admission in admissions if admission.id in ids]
        runs = [admission for admission in written if admission.status is ExecutionStatus.QUEUED]
        # A skipped tick gets no flow run: after a long outage Prefect would be busy with them for hours.
        await uow.reports.add([Report(ReportKind.CREATE, run.id, state=_first_state(run)) for run in runs])
        if len(written) > len(runs):
            logger.warning("%d missed ticks are recorded as skipped", len(written) - len(runs))
        return written

    def _expect(self, written: Iterable[Admission]) -> None:
        for admission in written:
            if admission.status is ExecutionStatus.QUEUED:
                self._timer.add(admission.id, admission.due_at, admission.priority)


def _pages(
    jobs: Mapping[UUID, ProposedJob], entries: Mapping[UUID, datetime | None], ticks: Ticks, until: datetime
) -> list[Page]:
    pages: list[Page] = []
    count = 0
    for job_id, since in entries.items():
        page = _page(jobs[job_id], since, ticks, until)
        pages.append(page)
        count += len(page.ticks)
        if count > TICKS_AT_ONCE:
            break
    return pages


def _page(job: ProposedJob, since: datetime | None, ticks: Ticks, until: datetime) -> Page:
    if job.status is not JobStatus.ACTIVE:
        # Whoever enables it writes its entry anew.
        return Page(job, [], None)
    try:
        return _read(job, max(since or job.scheduled_since, job.scheduled_since), ticks, until)
    # One job whose zone has left the machine, say, must not stop all others.
    except Exception:
        logger.exception("The calendar of job %s cannot be read", job.id)
        return Page(job, [], until + AGAIN_AFTER)


def _read(job: ProposedJob, since: datetime, ticks: Ticks, until: datetime) -> Page:
    passed: deque[datetime] = deque(maxlen=RECORDED_AT_MOST)
    for tick in ticks.after(job.spec, since - _INSTANT):
        if tick > until:
            return Page(job, list(passed), tick)
        passed.append(tick)
    return Page(job, list(passed), None)


def _first_state(run: Admission) -> PrefectState:
    return PrefectState("PENDING", "Pending", messages.due_at(run.due_at), run.due_at)
