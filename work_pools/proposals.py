"""Prefect proposes, we decide (D3): which proposed runs become executions, as pure policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from platform_api.domain.executions import TriggeredBy
from platform_api.domain.jobs import JobStatus
from platform_api.ports.claims import Admission, Proposal, ProposedJob
from platform_api.ports.ticks import Ticks
from work_pools.missed import run


@dataclass(slots=True)
class Judgement:
    """Rows to write, flow runs that become none, and those whose tick has passed: the agenda settles it."""

    admissions: list[Admission] = field(default_factory=list)
    unwanted: list[UUID] = field(default_factory=list)
    passed: list[Proposal] = field(default_factory=list)


def judge(proposals: Iterable[Proposal], jobs: Mapping[UUID, ProposedJob], ticks: Ticks, now: datetime) -> Judgement:
    """Sort proposals into runs to come, ticks that have passed and what is nobody's."""
    judgement = Judgement()
    for proposal in proposals:
        job = jobs.get(proposal.job_id)
        if job is None or not _is_wanted(proposal, job, ticks):
            judgement.unwanted.append(proposal.flow_run_id)
        elif proposal.by_hand:
            by_hand = run(job, proposal.scheduled_for, TriggeredBy.MANUAL)
            judgement.admissions.append(replace(by_hand, id=proposal.flow_run_id, scheduled_for=None))
        elif proposal.scheduled_for > now:
            tick = run(job, proposal.scheduled_for, TriggeredBy.SCHEDULED)
            judgement.admissions.append(replace(tick, id=proposal.flow_run_id))
        else:
            judgement.passed.append(proposal)
    return judgement


def _is_wanted(proposal: Proposal, job: ProposedJob, ticks: Ticks) -> bool:
    """Prefect may still show the schedule of yesterday; a run by hand needs no tick."""
    if proposal.by_hand:
        return job.status is not JobStatus.DELETED
    if job.status is not JobStatus.ACTIVE or proposal.scheduled_for < job.scheduled_since:
        return False
    return ticks.is_tick(job.spec, proposal.scheduled_for)
