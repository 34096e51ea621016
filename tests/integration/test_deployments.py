"""A job's deployment on a real Prefect server: its fields, its schedules, and the runs that exist."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Pending

from deployments.registrar import PrefectOrchestrator
from platform_api.domain.jobs import JobSpec, JobStatus, JobType
from platform_api.ports.orchestrator import DeploymentIntent
from platform_api.ticks import CronTicks
from tests.prefect_server import PrefectServer

MINUTELY = {"schedule": "* * * * *"}

#: Prefect's scheduler looks every 5 s; on a busy machine it may be late.
SCHEDULER_SECONDS = 60


@pytest.fixture
async def orchestrator(prefect_server: PrefectServer) -> AsyncIterator[PrefectOrchestrator]:
    registrar = PrefectOrchestrator(prefect_server.api_url, prefect_server.auth_string, work_pool="local")
    yield registrar
    await registrar.close()


@pytest.fixture
async def prefect(prefect_server: PrefectServer) -> AsyncIterator[PrefectClient]:
    async with PrefectClient(prefect_server.api_url, auth_string=prefect_server.auth_string) as client:
        yield client


def intent(**schedule: Any) -> DeploymentIntent:
    return DeploymentIntent(
        job_id=uuid4(),
        version=1,
        spec=JobSpec(name="Nightly: load & go!", type=JobType.PYTHON, script="print(1)", **schedule),
        status=JobStatus.ACTIVE,
        team="devops",
        owner="maya@example.com",
        page_url="http://127.0.0.1:8080/jobs/1",
        deployment_id=None,
    )


def edited(wanted: DeploymentIntent, deployment_id: UUID, **spec: Any) -> DeploymentIntent:
    return replace(wanted, deployment_id=deployment_id, version=2, spec=replace(wanted.spec, **spec))


async def runs(prefect: PrefectClient, deployment_id: UUID) -> list[FlowRun]:
    wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]))
    return await prefect.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC)


async def moments(prefect: PrefectClient, deployment_id: UUID) -> list[datetime]:
    return [run.expected_start_time.astimezone(UTC) for run in await runs(prefect, deployment_id)]


def ticks(spec: JobSpec, count: int, since: datetime) -> list[datetime]:
    return list(islice(CronTicks().after(spec, since), count))


async def scheduled_by_prefect(prefect: PrefectClient) -> list[FlowRun]:
    """The runs of a deployment made now, once Prefect's own scheduler has passed.

    It is between reading schedules and writing runs for a moment only, every 5 s: whoever edits a schedule right
    behind this does it while the scheduler rests.
    """
    flow_id = await prefect.create_flow_from_name("pins")
    schedule = {"schedule": {"cron": "* * * * *"}, "active": True}
    deployment_id = await prefect.create_deployment(flow_id, f"pins-{uuid4()}", schedules=[schedule])
    deadline = time.monotonic() + SCHEDULER_SECONDS
    while not (found := await runs(prefect, deployment_id)):
        assert time.monotonic() < deadline, "no run was scheduled: check the pins of sqlalchemy and fastapi"
        await asyncio.sleep(0.1)
    return found


async def test_prefects_own_scheduler_creates_runs(prefect):
    """The pins of sqlalchemy and fastapi: with wrong ones the server is healthy and silently creates none."""
    assert {run.state_name for run in await scheduled_by_prefect(prefect)} == {"Scheduled"}


async def test_the_deployment_names_the_job_its_people_and_its_page(orchestrator, prefect):
    wanted = intent(schedule="0 3 * * *", timezone="Europe/Berlin")
    deployment = await prefect.read_deployment(await orchestrator.apply(wanted))
    assert deployment.name == f"nightly-load-go-{wanted.job_id.hex[-8:]}"
    assert deployment.tags == ["job-platform", "job:Nightly: load & go!", "team:devops", "owner:maya@example.com"]
    assert "http://127.0.0.1:8080/jobs/1" in deployment.description
    assert deployment.parameters == {"job_id": str(wanted.job_id)}
    assert deployment.work_pool_name == "local"
    assert deployment.entrypoint == "flows.run_script.run_script"
    assert (await prefect.read_flow(deployment.flow_id)).name == "run-script"
    assert (await prefect.read_work_pool("local")).type == "local-script"
    schedule = deployment.schedules[0].schedule
    assert (schedule.cron, schedule.timezone) == ("0 3 * * *", "Europe/Berlin")


@pytest.mark.parametrize(
    "schedule",
    [
        {"schedule": "* * * * *"},
        {"schedule": "@daily", "timezone": "America/New_York"},
        {"schedule": "0 0 13 * */2"},
        {"interval_seconds": 90},
        {"run_at": datetime.now(UTC) + timedelta(hours=5, microseconds=3)},
    ],
)
async def test_the_next_runs_exist_when_apply_returns(orchestrator, prefect, schedule):
    wanted = intent(**schedule)
    since = datetime.now(UTC)
    deployment_id = await orchestrator.apply(wanted)
    found = await moments(prefect, deployment_id)
    assert found
    assert found == ticks(wanted.spec, len(found), since)


async def test_a_job_on_demand_has_no_schedule_and_no_runs(orchestrator, prefect):
    deployment_id = await orchestrator.apply(intent())
    assert (await prefect.read_deployment(deployment_id)).schedules == []
    assert await runs(prefect, deployment_id) == []


async def test_an_edit_of_something_else_keeps_the_schedules_id_and_its_runs(orchestrator, prefect):
    wanted = intent(**MINUTELY)
    deployment_id = await orchestrator.apply(wanted)
    before, when = await prefect.read_deployment(deployment_id), await moments(prefect, deployment_id)
    await orchestrator.apply(edited(wanted, deployment_id, name="New name", description="Loads."))
    after = await prefect.read_deployment(deployment_id)
    assert after.name == before.name
    assert after.version == "2"
    assert "job:New name" in after.tags
    assert after.description.startswith("Loads.")
    assert [schedule.id for schedule in after.schedules] == [schedule.id for schedule in before.schedules]
    found = await moments(prefect, deployment_id)
    assert len(found) == len(set(found))
    assert set(when) <= set(found) | {moment for moment in when if moment <= datetime.now(UTC)}


async def test_an_unchanged_job_is_not_written_again(orchestrator, prefect):
    wanted = intent(schedule="0 * * * *", timezone="America/New_York")
    deployment_id = await orchestrator.apply(wanted)
    before = await prefect.read_deployment(deployment_id)
    await orchestrator.apply(replace(wanted, deployment_id=deployment_id))
    after = await prefect.read_deployment(deployment_id)
    assert [schedule.updated for schedule in after.schedules] == [schedule.updated for schedule in before.schedules]


async def test_a_changed_schedule_replaces_the_future_runs_and_leaves_claimed_ones(orchestrator, prefect):
    wanted = intent(schedule="0 3 * * *")
    deployment_id = await orchestrator.apply(wanted)
    [claimed] = await runs(prefect, deployment_id)
    await prefect.set_flow_run_state(claimed.id, Pending(), force=True)
    await scheduled_by_prefect(prefect)
    await orchestrator.apply(edited(wanted, deployment_id, schedule="0 4 * * *"))
    await orchestrator.apply(edited(wanted, deployment_id, schedule="0 5 * * *"))
    found = [(run.expected_start_time.hour, run.state_name) for run in await runs(prefect, deployment_id)]
    assert sorted(found) == [(3, "Pending"), (5, "Scheduled")]


async def test_editing_back_does_not_double_a_run_that_is_claimed(orchestrator, prefect):
    wanted = intent(schedule="0 3 * * *")
    deployment_id = await orchestrator.apply(wanted)
    [claimed] = await runs(prefect, deployment_id)
    await prefect.set_flow_run_state(claimed.id, Pending(), force=True)
    await orchestrator.apply(edited(wanted, deployment_id, schedule="0 4 * * *"))
    await orchestrator.apply(edited(wanted, deployment_id))
    assert [run.id for run in await runs(prefect, deployment_id)] == [claimed.id]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"schedule": "0 3 * * *"}, {"schedule": None, "interval_seconds": 3600}),
        ({"schedule": "0 3 * * *"}, {"schedule": None}),
        ({}, {"schedule": "0 3 * * *"}),
        ({"interval_seconds": 3600}, {"interval_seconds": None, "run_at": datetime.now(UTC) + timedelta(days=1)}),
        ({"schedule": "0 * * * *", "timezone": "Europe/Berlin"}, {"timezone": "UTC"}),
        ({"schedule": "0 3 * * *"}, {"schedule": "0 * * * *", "timezone": "Europe/Berlin"}),
    ],
)
async def test_any_schedule_may_become_any_other(orchestrator, prefect, before, after):
    wanted = intent(**before)
    deployment_id = await orchestrator.apply(wanted)
    changed = edited(wanted, deployment_id, **after)
    since = datetime.now(UTC)
    await orchestrator.apply(changed)
    found = await moments(prefect, deployment_id)
    assert found == ticks(changed.spec, len(found), since)
    assert bool(found) is changed.spec.has_schedule


async def test_schedules_that_people_added_in_prefect_are_taken_away(orchestrator, prefect):
    wanted = intent(schedule="0 3 * * *")
    deployment_id = await orchestrator.apply(wanted)
    added = [(CronSchedule(cron="0 4 * * *"), True), (CronSchedule(cron="0 5 * * *"), True)]
    await scheduled_by_prefect(prefect)
    await prefect.create_deployment_schedules(deployment_id, added)
    await orchestrator.apply(replace(wanted, deployment_id=deployment_id))
    schedules = (await prefect.read_deployment(deployment_id)).schedules
    assert [schedule.schedule.cron for schedule in schedules] == ["0 3 * * *"]
    assert [moment.hour for moment in await moments(prefect, deployment_id)] == [3]


async def test_a_deployment_with_our_tag_that_is_no_jobs_is_left_alone(orchestrator, prefect):
    flow_id = await prefect.create_flow_from_name("somebodys")
    theirs = await prefect.create_deployment(flow_id, f"theirs-{uuid4()}", tags=["job-platform"])
    assert theirs not in await orchestrator.deployments()


async def test_a_prefect_whose_database_was_replaced_is_furnished_again(orchestrator, prefect):
    wanted = intent()
    deployment_id = await orchestrator.apply(wanted)
    await prefect.delete_flow((await prefect.read_deployment(deployment_id)).flow_id)
    again = await orchestrator.apply(replace(wanted, deployment_id=deployment_id))
    assert (await orchestrator.deployments())[again] == wanted.job_id


async def test_a_tick_that_passes_while_an_edit_is_written_is_not_lost(prefect_server, orchestrator, prefect):
    wanted = intent(**MINUTELY)
    deployment_id = await orchestrator.apply(wanted)
    passed = datetime.now(UTC).replace(second=0, microsecond=0)

    class JustBefore:
        """The edit began a moment before the tick."""

        def now(self) -> datetime:
            return passed - timedelta(milliseconds=200)

    slow = PrefectOrchestrator(
        prefect_server.api_url, prefect_server.auth_string, work_pool="local", clock=JustBefore()
    )
    await slow.apply(edited(wanted, deployment_id, name="New name"))
    await slow.close()
    assert passed in await moments(prefect, deployment_id)


async def test_a_disabled_job_has_no_future_runs_until_it_is_enabled(orchestrator, prefect):
    wanted = intent(**MINUTELY)
    deployment_id = await orchestrator.apply(wanted)
    disabled = replace(wanted, deployment_id=deployment_id, status=JobStatus.DISABLED)
    await orchestrator.apply(disabled)
    assert (await prefect.read_deployment(deployment_id)).paused
    assert [moment for moment in await moments(prefect, deployment_id) if moment > datetime.now(UTC)] == []
    await orchestrator.apply(replace(disabled, status=JobStatus.ACTIVE))
    assert not (await prefect.read_deployment(deployment_id)).paused
    assert [moment for moment in await moments(prefect, deployment_id) if moment > datetime.now(UTC)]


async def test_a_job_created_disabled_never_has_runs(orchestrator, prefect):
    deployment_id = await orchestrator.apply(replace(intent(**MINUTELY), status=JobStatus.DISABLED))
    assert await runs(prefect, deployment_id) == []


async def test_removing_a_job_deletes_its_scheduled_runs(orchestrator, prefect):
    wanted = intent(**MINUTELY)
    deployment_id = await orchestrator.apply(wanted)
    await orchestrator.remove(wanted)
    assert await runs(prefect, deployment_id) == []


async def test_many_jobs_at_once_are_all_there(orchestrator, prefect):
    made = await asyncio.gather(*(orchestrator.apply(intent(**MINUTELY)) for _ in range(12)))
    for deployment_id in made:
        assert await runs(prefect, deployment_id)
