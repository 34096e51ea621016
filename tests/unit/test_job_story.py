"""Why a job has not run: each reason where it holds, and none where it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import Concurrency, JobSpec, JobStatus, JobType
from platform_api.ports.executions import Execution
from platform_api.ports.health import Vitals
from platform_api.use_cases.job_story import reasons

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TICKS = [NOW + timedelta(hours=1)]
ALIVE = Vitals(1, 0.5, [], 0, 0, 0, 0, 0, 0, 0)
JOB = Job(
    id=uuid4(),
    spec=JobSpec("Nightly", JobType.SHELL, script="true", schedule="0 * * * *"),
    status=JobStatus.ACTIVE,
    version=1,
    generation=1,
    synced_generation=1,
    sync_error=None,
    owner_id=uuid4(),
    owner="maya@example.com",
    team_id=uuid4(),
    team="devops",
    prefect_deployment_id=None,
    created_at=NOW,
    updated_at=NOW,
    scheduled_since=NOW,
)


def a_run(status: ExecutionStatus, **changed: Any) -> Execution:
    """A run of the job, a minute old."""
    fields = dict.fromkeys(Execution.__dataclass_fields__)
    fields |= {"id": uuid4(), "status": status, "triggered_by": TriggeredBy.MANUAL}
    return Execution(**(fields | {"queued_at": NOW - timedelta(minutes=1)} | changed))  # type: ignore[arg-type]


def told(job: Job = JOB, ticks: Any = TICKS, recent: Any = (), vitals: Vitals = ALIVE) -> list[tuple[str, str]]:
    """The reasons, each with its weight."""
    return [(reason.weight, reason.told) for reason in reasons(job, ticks, list(recent), vitals, NOW)]


def test_of_a_job_that_runs_nothing_is_told() -> None:
    assert told() == []
    assert told(recent=[a_run(ExecutionStatus.SUCCESS), a_run(ExecutionStatus.FAILED)]) == []


@pytest.mark.parametrize(
    ("changed", "ticks", "weight", "word"),
    [
        ({"status": JobStatus.DISABLED}, [], "stops", "disabled"),
        ({"status": JobStatus.DELETED}, [], "stops", "deleted"),
        ({"spec": replace(JOB.spec, schedule=None)}, [], "note", "no schedule"),
        ({}, [], "stops", "no time that is still to come"),
        ({"generation": 2, "sync_error": "Prefect is away"}, TICKS, "delays", "Prefect is away"),
    ],
)
def test_what_the_job_itself_says(changed: dict[str, Any], ticks: list[datetime], weight: str, word: str) -> None:
    ((found_weight, found_words),) = told(replace(JOB, **changed), ticks)
    assert found_weight == weight
    assert word in found_words


def test_without_a_worker_nothing_runs() -> None:
    assert told(vitals=replace(ALIVE, live_workers=0)) == [("stops", "No worker is alive: nothing runs at all.")]


@pytest.mark.parametrize(
    ("concurrency", "status", "is_told"),
    [
        (Concurrency.SKIP, ExecutionStatus.RUNNING, True),
        (Concurrency.QUEUE, ExecutionStatus.RETRYING, True),
        (Concurrency.ALLOW, ExecutionStatus.RUNNING, False),
        (Concurrency.SKIP, ExecutionStatus.SUCCESS, False),
    ],
)
def test_a_run_is_in_the_way_only_where_two_are_forbidden(
    concurrency: Concurrency, status: ExecutionStatus, is_told: bool
) -> None:
    job = replace(JOB, spec=replace(JOB.spec, concurrency=concurrency))
    assert bool(told(job, recent=[a_run(status)])) is is_told


def test_a_run_that_waits_past_its_time_is_told_and_one_that_was_just_asked_for_is_not() -> None:
    assert "has waited for 60 s" in told(recent=[a_run(ExecutionStatus.QUEUED)])[0][1]
    assert told(recent=[a_run(ExecutionStatus.QUEUED, queued_at=NOW)]) == []


def test_the_newest_run_that_was_skipped_says_why() -> None:
    skipped = a_run(ExecutionStatus.SKIPPED, reason="the run before was not over")
    assert "the run before was not over" in told(recent=[skipped])[0][1]
    assert told(recent=[a_run(ExecutionStatus.SUCCESS), skipped]) == []
