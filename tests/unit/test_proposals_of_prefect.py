"""What Prefect's API says, in the engine's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse

from platform_api.domain.jobs import JobSpec, JobType
from platform_api.ports.claims import Proposal
from platform_api.ticks import CronTicks
from work_pools.worker import proposal_of

TICK = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def proposed(**parameters: object) -> Proposal | None:
    run = FlowRun(flow_id=uuid4(), parameters=parameters, next_scheduled_start_time=TICK, auto_scheduled=True)
    # As it comes from the API.
    run = FlowRun.model_validate_json(run.model_dump_json())
    return proposal_of(WorkerFlowRunResponse(work_pool_id=uuid4(), work_queue_id=uuid4(), flow_run=run))


@pytest.mark.parametrize(
    "schedule", [{"schedule": "* * * * *"}, {"interval_seconds": 60}, {"run_at": TICK}], ids=lambda s: next(iter(s))
)
def test_a_proposed_moment_is_a_tick_of_every_kind_of_schedule(schedule: dict[str, object]) -> None:
    proposal = proposed(job_id=str(uuid4()))
    assert proposal is not None
    spec = JobSpec(name="ticker", type=JobType.SHELL, script="exit 0", **schedule)  # type: ignore[arg-type]
    assert CronTicks().is_tick(spec, proposal.scheduled_for)
    assert type(proposal.scheduled_for) is datetime
    assert proposal.scheduled_for == TICK
    assert proposal.scheduled_for.utcoffset() == timedelta(0)


@pytest.mark.parametrize("parameters", [{}, {"job_id": "none of ours"}, {"job_id": None}])
def test_a_run_of_somebody_elses_deployment_is_left_alone(parameters: dict[str, object]) -> None:
    assert proposed(**parameters) is None
