"""Why a job has not run: what stands between it and its next run, in the order in which to look at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import Concurrency, JobStatus, SyncState
from platform_api.ports.executions import Execution, ExecutionFilter
from platform_api.ports.health import Vitals
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded
from platform_api.use_cases.job_access import load_job
from platform_api.use_cases.jobs import next_ticks
from platform_api.use_cases.services import Services
from rbac.permissions import Permission

#: A run that waits for this long after its time is held up by something.
LATE_SECONDS = 10.0
RUNS_LOOKED_AT = 20
TICKS_SHOWN = 5

Weight = Literal["stops", "delays", "note"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing to know: whether it stops runs, delays them or merely explains; and what to do about it."""

    weight: Weight
    told: str
    remedy: str = ""
    execution_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """When a job runs next, and what could keep it from that."""

    next_executions: list[datetime]
    reasons: list[Reason]


async def of_job(services: Services, caller: Caller, job_id: UUID) -> Story:
    """The coming ticks and everything that is in their way."""
    async with guarded(services, caller) as uow:
        job = await load_job(uow, caller, Permission.JOB_VIEW, job_id, deleted=True)
        wanted = ExecutionFilter(job_id=job.id)
        recent = await uow.executions.page(caller.principal, wanted, None, RUNS_LOOKED_AT)
        vitals = await uow.health.vitals(services.settings.work_pool)
    now = services.clock.now()
    ticks = next_ticks(services, job.spec, TICKS_SHOWN) if job.status is JobStatus.ACTIVE else []
    return Story(ticks, reasons(job, ticks, recent, vitals, now))


def reasons(job: Job, ticks: list[datetime], recent: list[Execution], vitals: Vitals, now: datetime) -> list[Reason]:
    """Everything that is worth knowing, what stops the job first."""
    return [
        *_switched_off(job, ticks),
        *_no_worker(vitals),
        *_in_the_way(job, recent),
        *_waiting(recent, now),
        *_not_in_prefect(job),
        *_left_out(recent),
    ]


def _switched_off(job: Job, ticks: list[datetime]) -> list[Reason]:
    if job.status is JobStatus.DELETED:
        return [Reason("stops", "The job is deleted: it never runs again.", "Its history stays; clone it to go on.")]
    if job.status is JobStatus.DISABLED:
        return [Reason("stops", "The job is disabled: its schedule is not followed.", "Enable it, or run it by hand.")]
    if not job.spec.has_schedule:
        return [Reason("note", "The job has no schedule: it runs when somebody starts it.", "Edit it to add one.")]
    if not ticks:
        return [Reason("stops", "Its schedule names no time that is still to come.", "Edit its schedule.")]
    return []


def _no_worker(vitals: Vitals) -> list[Reason]:
    if vitals.live_workers:
        return []
    return [Reason("stops", "No worker is alive: nothing runs at all.", "Tell your platform team.")]


def _in_the_way(job: Job, recent: list[Execution]) -> list[Reason]:
    """A run that is under way, where the job forbids two at once."""
    if job.spec.concurrency is Concurrency.ALLOW:
        return []
    occupying = next((run for run in recent if run.status in _OCCUPYING), None)
    if occupying is None:
        return []
    follows = "are skipped" if job.spec.concurrency is Concurrency.SKIP else "wait for it"
    told = f"A run is {occupying.status}; further ones {follows} until it is over."
    return [Reason("delays", told, "Wait for it, cancel it, or allow runs side by side.", occupying.id)]


_OCCUPYING = (ExecutionStatus.RUNNING, ExecutionStatus.RETRYING)


def _waiting(recent: list[Execution], now: datetime) -> list[Reason]:
    late = [
        run
        for run in recent
        if run.status is ExecutionStatus.QUEUED
        and (now - (run.scheduled_for or run.queued_at)).total_seconds() > LATE_SECONDS
    ]
    if not late:
        return []
    oldest = late[-1]
    seconds = (now - (oldest.scheduled_for or oldest.queued_at)).total_seconds()
    return [Reason("delays", f"A run has waited for {seconds:.0f} s for its place.", execution_id=oldest.id)]


def _not_in_prefect(job: Job) -> list[Reason]:
    if job.sync_state is SyncState.SYNCED:
        return []
    told = "The last change has not reached Prefect yet."
    return [Reason("delays", f"{told} {job.sync_error or ''}".strip(), "It is tried again by itself.")]


def _left_out(recent: list[Execution]) -> list[Reason]:
    """The newest run was skipped or cancelled: that is why there is nothing to see of it."""
    if not recent or recent[0].status not in (ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED):
        return []
    newest = recent[0]
    return [
        Reason("note", f"The newest run was {newest.status}: {newest.reason or 'no reason is kept'}.", "", newest.id)
    ]
