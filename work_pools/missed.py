"""What becomes of ticks that passed while nothing could start them, as pure policy (``docs/explanation/time.md``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from uuid_utils.compat import uuid7

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.domain.jobs import CatchUp, Concurrency, JobSpec, Priority
from platform_api.ports.claims import Admission, ProposedJob
from platform_api.ports.ticks import Ticks
from work_pools import messages

#: A tick that could not start within this time was missed; before that it is merely late and starts as it is.
LATE_AFTER = timedelta(seconds=60)

PRIORITIES = {Priority.CRITICAL: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


def is_missed(tick: datetime, now: datetime) -> bool:
    """Whether ``catch_up`` says what becomes of the tick."""
    return now - tick > LATE_AFTER


def newest_passed(spec: JobSpec, tick: datetime, ticks: Ticks, now: datetime) -> datetime:
    """The job's last tick up to now, a passed ``tick`` being one of them."""
    *_, newest = [tick, *takewhile(lambda later: later <= now, ticks.after(spec, tick))]
    return newest


def settle(
    job: ProposedJob, ticks: Sequence[datetime], taken: Iterable[datetime], now: datetime, at_most: int
) -> list[Admission]:
    """The executions to write for a job's ticks in order, of which some have theirs already."""
    free = sorted(set(ticks) - set(taken))
    ahead = [run(job, tick, TriggeredBy.SCHEDULED) for tick in free if tick > now]
    passed = [tick for tick in free if tick <= now]
    if not passed or not is_missed(passed[0], now):
        return [run(job, tick, TriggeredBy.SCHEDULED) for tick in passed] + ahead
    newest = max(tick for tick in ticks if tick <= now)
    return _catch_up(job, passed, newest, now, at_most) + ahead


def _catch_up(
    job: ProposedJob, passed: list[datetime], newest: datetime, now: datetime, at_most: int
) -> list[Admission]:
    """All of them in order, only the newest, or none."""
    match job.spec.catch_up:
        case CatchUp.ALL:
            beyond = messages.beyond_catch_up(at_most)
            skipped = [skip(job, tick, beyond) for tick in passed[:-at_most]]
            return skipped + [run(job, tick, TriggeredBy.CATCH_UP) for tick in passed[-at_most:]]
        case CatchUp.NONE:
            return [
                skip(job, tick, messages.MISSED) if is_missed(tick, now) else run(job, tick, TriggeredBy.SCHEDULED)
                for tick in passed
            ]
        case CatchUp.LATEST:
            # Where the newest has its execution already, that one stands for the others.
            reason = messages.replaced_by(newest)
            return [
                run(job, tick, TriggeredBy.CATCH_UP) if tick == newest else skip(job, tick, reason) for tick in passed
            ]


def run(job: ProposedJob, tick: datetime, triggered_by: TriggeredBy) -> Admission:
    """A run of the job, due at the tick."""
    return _admission(job, tick, ExecutionStatus.QUEUED, triggered_by, None)


def skip(job: ProposedJob, tick: datetime, reason: str) -> Admission:
    """The record of a tick that is not run."""
    return _admission(job, tick, ExecutionStatus.SKIPPED, TriggeredBy.SCHEDULED, reason)


def _admission(
    job: ProposedJob, tick: datetime, status: ExecutionStatus, triggered_by: TriggeredBy, reason: str | None
) -> Admission:
    return Admission(
        id=uuid7(),
        job_id=job.id,
        job_version=job.version,
        status=status,
        triggered_by=triggered_by,
        scheduled_for=tick,
        due_at=tick,
        exclusive=job.spec.concurrency is not Concurrency.ALLOW,
        priority=PRIORITIES[job.spec.priority],
        reason=reason,
    )
