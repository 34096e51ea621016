"""From the REST API to Prefect's: what a person changes is what Prefect shows when the answer arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound
from sqlalchemy.ext.asyncio import AsyncEngine

from deployments.registrar import PrefectOrchestrator
from platform_api.embedded.postgres import free_port
from platform_api.use_cases.sync import Reconciler
from tests.cast import Cast, assemble_cast, hello, services_on, settings_for_tests
from tests.prefect_server import PrefectServer

MOVED = ("0 4 * * *", "Europe/Berlin")


@pytest.fixture
async def prefect(prefect_server: PrefectServer) -> AsyncIterator[PrefectClient]:
    async with PrefectClient(prefect_server.api_url, auth_string=prefect_server.auth_string) as client:
        yield client


@pytest.fixture
async def real_cast(engine: AsyncEngine, prefect_server: PrefectServer, tmp_path: Path) -> AsyncIterator[Cast]:
    """The cast at an API that has a real Prefect behind it."""
    registrar = PrefectOrchestrator(prefect_server.api_url, prefect_server.auth_string, work_pool="local")
    cast = await assemble_cast(engine, services_on(engine, settings_for_tests(home=tmp_path), orchestrator=registrar))
    yield cast
    await cast.maya.client.aclose()
    await registrar.close()


async def test_a_jobs_life_is_shown_step_by_step(real_cast: Cast, prefect: PrefectClient):
    maya = real_cast.maya
    # On a busy machine an answer may come before Prefect's; then the reconciler of the API goes on, as here.
    reconciler = Reconciler(real_cast.services)
    await reconciler.round()
    job_id = (await maya.post("/jobs", hello(schedule="*/5 * * * *", timezone="Europe/Berlin"))).json()["job_id"]
    await reconciler.round()
    made = (await maya.get(f"/jobs/{job_id}")).json()
    assert made["sync"]["state"] == "synced"
    deployment = await prefect.read_deployment(UUID(made["prefect_deployment_id"]))
    assert deployment.schedules[0].schedule.cron == "*/5 * * * *"
    assert "team:devops" in deployment.tags
    address = f"/jobs/{made['job_id']}"

    await maya.patch(address, {"schedule": "0 4 * * *", "name": "Moved"})
    await reconciler.round()
    deployment = await prefect.read_deployment(deployment.id)
    assert (deployment.schedules[0].schedule.cron, deployment.schedules[0].schedule.timezone) == MOVED
    assert "job:Moved" in deployment.tags

    await maya.post(f"{address}/disable")
    await reconciler.round()
    assert (await prefect.read_deployment(deployment.id)).paused
    await maya.post(f"{address}/enable")
    await reconciler.round()
    assert not (await prefect.read_deployment(deployment.id)).paused

    await maya.delete(address)
    await reconciler.round()
    with pytest.raises(ObjectNotFound):
        await prefect.read_deployment(deployment.id)


async def test_a_job_can_be_made_while_prefect_is_away_and_follows_when_it_is_back(
    engine: AsyncEngine, prefect_server: PrefectServer, prefect: PrefectClient, tmp_path: Path
):
    away = PrefectOrchestrator(f"http://127.0.0.1:{free_port()}/api", "a:b", work_pool="local", deadline_seconds=0.5)
    cast = await assemble_cast(engine, services_on(engine, settings_for_tests(home=tmp_path), orchestrator=away))
    made = await cast.maya.post("/jobs", hello(name="Meanwhile", schedule="0 4 * * *"))
    assert made.status_code == 201
    assert made.json()["sync"]["state"] == "pending"

    back = PrefectOrchestrator(prefect_server.api_url, prefect_server.auth_string, work_pool="local")
    await Reconciler(replace(cast.services, orchestrator=back)).round()
    shown = (await cast.maya.get(f"/jobs/{made.json()['job_id']}")).json()
    assert shown["sync"]["state"] == "synced"
    assert (await prefect.read_deployment(UUID(shown["prefect_deployment_id"]))).name.startswith("meanwhile-")
    await cast.maya.client.aclose()
    await away.close()
    await back.close()
