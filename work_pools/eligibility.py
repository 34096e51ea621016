"""Whether a run that is due may still start, as pure policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.domain.jobs import CatchUp, Concurrency, JobSpec, JobStatus
from platform_api.ports.claims import HeldRun
from platform_api.ports.ticks import Ticks
from work_pools import messages
from work_pools.missed import is_missed, newest_passed


class Course(StrEnum):
    """What becomes of a run whose time has come."""

    START = "start"
    SKIP = "skip"
    CANCEL = "cancel"
    #: Its tick is none any more: as if it had never been claimed.
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Decision:
    """The course, with the version to run or the reason not to."""

    course: Course
    version: int
    spec: JobSpec
    reason: str = ""

    @property
    def exclusive(self) -> bool:
        """Whether the run needs its job's only place."""
        return self.spec.concurrency is not Concurrency.ALLOW


def decide(run: HeldRun, ticks: Ticks, now: datetime) -> Decision:
    """The rules in order; the first that applies decides."""
    by_schedule = run.triggered_by in (TriggeredBy.SCHEDULED, TriggeredBy.CATCH_UP)
    has_begun = run.status is ExecutionStatus.RETRYING
    if run.job_status is JobStatus.DELETED:
        drop = by_schedule and not has_begun
        return _as_claimed(run, Course.DROP if drop else Course.CANCEL, messages.JOB_DELETED)
    if has_begun or not by_schedule:
        # All attempts run the version of the first; a person gets what was there when they asked.
        return _as_claimed(run, Course.START)
    if run.job_status is JobStatus.DISABLED:
        return _as_claimed(run, Course.SKIP, messages.JOB_DISABLED)
    decision = _follow_changes(run, ticks)
    if decision.course is Course.START and was_missed(run, now):
        return _catch_up(run, decision, ticks, now)
    return decision


def was_missed(run: HeldRun, now: datetime) -> bool:
    """Claimed in time, but then nothing was there to start it; one that waited for its job's place is no such run."""
    by_schedule = run.triggered_by is TriggeredBy.SCHEDULED and run.status is ExecutionStatus.QUEUED
    return by_schedule and run.reason is None and run.scheduled_for is not None and is_missed(run.scheduled_for, now)


def _catch_up(run: HeldRun, decision: Decision, ticks: Ticks, now: datetime) -> Decision:
    """The same as ``missed.settle`` says of ticks that nobody had claimed."""
    if decision.spec.catch_up is CatchUp.NONE:
        return replace(decision, course=Course.SKIP, reason=messages.MISSED)
    if decision.spec.catch_up is CatchUp.LATEST and run.scheduled_for is not None:
        newest = newest_passed(decision.spec, run.scheduled_for, ticks, now)
        if newest != run.scheduled_for:
            return replace(decision, course=Course.SKIP, reason=messages.replaced_by(newest))
    return decision


def _follow_changes(run: HeldRun, ticks: Ticks) -> Decision:
    """A job that was edited after the claim runs as it is now, if it still runs at this tick."""
    if run.newer is None or run.newer_version is None:
        return _as_claimed(run, Course.START)
    if run.scheduled_for is not None and not ticks.is_tick(run.newer, run.scheduled_for):
        return _as_claimed(run, Course.DROP)
    return Decision(Course.START, run.newer_version, run.newer)


def _as_claimed(run: HeldRun, course: Course, reason: str = "") -> Decision:
    return Decision(course, run.version, run.spec, reason)


def waits(run: HeldRun, spec: JobSpec) -> bool:
    """Whether a run whose job is busy waits for its turn; all missed ticks in order means one after the other."""
    return spec.concurrency is Concurrency.QUEUE or run.triggered_by is TriggeredBy.CATCH_UP
