"""What every Orchestrator promises: the fake of the API's tests and the real one on a real Prefect server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from deployments.registrar import PrefectOrchestrator
from platform_api.domain.jobs import JobSpec, JobStatus, JobType
from platform_api.embedded.postgres import free_port
from platform_api.ports.orchestrator import DeploymentIntent, Orchestrator, OrchestratorUnavailable
from tests.fakes import FakeOrchestrator
from tests.prefect_server import PrefectServer


def intent(**changes) -> DeploymentIntent:
    spec = JobSpec(name="Nightly load", type=JobType.PYTHON, script="print(1)", schedule="0 3 * * *")
    made = DeploymentIntent(
        job_id=uuid4(),
        version=1,
        spec=spec,
        status=JobStatus.ACTIVE,
        team="devops",
        owner="maya@example.com",
        page_url="http://127.0.0.1:8080/jobs/1",
        deployment_id=None,
    )
    return replace(made, **changes)


@pytest.fixture(params=["fake", "real"])
async def orchestrator(request: pytest.FixtureRequest) -> AsyncIterator[Orchestrator]:
    if request.param == "fake":
        yield FakeOrchestrator()
        return
    server: PrefectServer = request.getfixturevalue("prefect_server")
    real = PrefectOrchestrator(server.api_url, server.auth_string, work_pool="local")
    yield real
    await real.close()


@pytest.fixture(params=["fake", "real"])
async def away(request: pytest.FixtureRequest) -> AsyncIterator[Orchestrator]:
    """One that cannot be reached."""
    if request.param == "fake":
        fake = FakeOrchestrator()
        fake.is_away = True
        yield fake
        return
    real = PrefectOrchestrator(f"http://127.0.0.1:{free_port()}/api", "a:b", work_pool="local", deadline_seconds=0.5)
    yield real
    await real.close()


async def test_apply_makes_one_deployment_of_the_job(orchestrator):
    wanted = intent()
    deployment_id = await orchestrator.apply(wanted)
    assert (await orchestrator.deployments())[deployment_id] == wanted.job_id


async def test_applying_again_keeps_the_deployment_even_when_its_id_was_never_noted(orchestrator):
    wanted = intent()
    deployment_id = await orchestrator.apply(wanted)
    renamed = replace(wanted, spec=replace(wanted.spec, name="Another name"), version=2)
    assert await orchestrator.apply(renamed) == deployment_id
    assert await orchestrator.apply(replace(renamed, deployment_id=deployment_id)) == deployment_id
    assert list((await orchestrator.deployments()).values()).count(wanted.job_id) == 1


async def test_a_deployment_that_vanished_is_made_again(orchestrator):
    wanted = intent(deployment_id=uuid4())
    deployment_id = await orchestrator.apply(wanted)
    assert deployment_id != wanted.deployment_id
    assert (await orchestrator.deployments())[deployment_id] == wanted.job_id


async def test_jobs_of_one_name_have_deployments_of_their_own(orchestrator):
    assert await orchestrator.apply(intent()) != await orchestrator.apply(intent())


@pytest.mark.parametrize("status", [JobStatus.ACTIVE, JobStatus.DISABLED])
async def test_remove_may_be_repeated(orchestrator, status):
    wanted = intent(status=status)
    deployment_id = await orchestrator.apply(wanted)
    await orchestrator.remove(wanted)
    await orchestrator.remove(replace(wanted, deployment_id=deployment_id))
    assert deployment_id not in await orchestrator.deployments()


async def test_it_says_whether_it_is_there(orchestrator):
    assert await orchestrator.is_healthy()


async def test_one_that_is_away_says_so(away):
    assert not await away.is_healthy()
    for call in (away.apply(intent()), away.remove(intent()), away.deployments()):
        with pytest.raises(OrchestratorUnavailable):
            await call
