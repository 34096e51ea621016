"""Prefect proposes, we decide (D3): which proposed runs become executions, as pure policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.domain.jobs import CatchUp, Concurrency, JobStatus, Priority
from platform_api.ports.claims import Admission, Proposal, ProposedJob
from platform_api.ports.ticks import Ticks
from work_pools import messages

#: A tick that is older than this when it is claimed was missed, and ``catch_up`` says what becomes of it.
LATE_AFTER = timedelta(seconds=60)

PRIORITIES = {Priority.CRITICAL: 0, Priority.HIGH: 1, Priority.NORMAL: 2, Priority.LOW: 3}


@dataclass(slots=True)
class Judgement:
    """Rows to write, and flow runs that become none."""

    admissions: list[Admission] = field(default_factory=list)
    unwanted: list[UUID] = field(default_factory=list)


def judge(proposals: Iterable[Proposal], jobs: Mapping[UUID, ProposedJob], ticks: Ticks, now: datetime) -> Judgement:
    """Sort proposals into runs on time, missed ticks and what is nobody's."""
    judgement = Judgement()
    missed: defaultdict[UUID, list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        job = jobs.get(proposal.job_id)
        if job is None or not _is_wanted(proposal, job, ticks):
            judgement.unwanted.append(proposal.flow_run_id)
        elif proposal.by_hand:
            judgement.admissions.append(_admit(proposal, job, TriggeredBy.MANUAL))
        elif now - proposal.scheduled_for > LATE_AFTER:
            missed[job.id].append(proposal)
        else:
            judgement.admissions.append(_admit(proposal, job, TriggeredBy.SCHEDULED))
    for job_id, late in missed.items():
        judgement.admissions.extend(_catch_up(jobs[job_id], sorted(late, key=lambda p: p.scheduled_for)))
    return judgement


def _is_wanted(proposal: Proposal, job: ProposedJob, ticks: Ticks) -> bool:
    """Prefect may still show the schedule of yesterday; a run by hand needs no tick."""
    if proposal.by_hand:
        return job.status is not JobStatus.DELETED
    if job.status is not JobStatus.ACTIVE or proposal.scheduled_for < job.scheduled_since:
        return False
    return ticks.is_tick(job.spec, proposal.scheduled_for)


def _catch_up(job: ProposedJob, late: list[Proposal]) -> list[Admission]:
    """All of them in order, only the newest, or none."""
    match job.spec.catch_up:
        case CatchUp.ALL:
            return [_admit(proposal, job, TriggeredBy.CATCH_UP) for proposal in late]
        case CatchUp.NONE:
            return [_skip(proposal, job, messages.MISSED) for proposal in late]
        case CatchUp.LATEST:
            newest = late[-1]
            reason = messages.replaced_by(newest.scheduled_for)
            replaced = [_skip(proposal, job, reason) for proposal in late if proposal is not newest]
            return [*replaced, _admit(newest, job, TriggeredBy.CATCH_UP)]


def _admit(proposal: Proposal, job: ProposedJob, triggered_by: TriggeredBy) -> Admission:
    return _admission(proposal, job, ExecutionStatus.QUEUED, triggered_by, None)


def _skip(proposal: Proposal, job: ProposedJob, reason: str) -> Admission:
    return _admission(proposal, job, ExecutionStatus.SKIPPED, TriggeredBy.SCHEDULED, reason)


def _admission(
    proposal: Proposal, job: ProposedJob, status: ExecutionStatus, triggered_by: TriggeredBy, reason: str | None
) -> Admission:
    return Admission(
        id=proposal.flow_run_id,
        job_id=job.id,
        job_version=job.version,
        status=status,
        triggered_by=triggered_by,
        scheduled_for=None if proposal.by_hand else proposal.scheduled_for,
        due_at=proposal.scheduled_for,
        exclusive=job.spec.concurrency is not Concurrency.ALLOW,
        priority=PRIORITIES[job.spec.priority],
        reason=reason,
    )
