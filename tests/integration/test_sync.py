"""What is stored reaches Prefect: at once, later, in order, and after whatever was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import jobs, teams, users
from platform_api.db.signals import PostgresSignals
from platform_api.db.unit_of_work import units_of_work
from platform_api.domain.jobs import JobSpec, JobStatus, JobType
from platform_api.identity.provider import identity_provider, loopback_provider
from platform_api.ports.clock import SystemClock
from platform_api.ports.orchestrator import DeploymentIntent, OrchestratorRefused
from platform_api.ports.signals import Channel
from platform_api.rate_limits.counters import CountedLimits
from platform_api.settings import Settings
from platform_api.ticks import CronTicks
from platform_api.use_cases.services import Services
from platform_api.use_cases.sync import Reconciler, reconcile_forever, sync_job
from tests.fakes import FakeOrchestrator

SPEC = JobSpec(name="Nightly load", type=JobType.PYTHON, script="print(1)", schedule="0 3 * * *")


@pytest.fixture
def prefect() -> FakeOrchestrator:
    return FakeOrchestrator()


@pytest.fixture
async def services(engine: AsyncEngine, database_url: str, prefect: FakeOrchestrator) -> AsyncIterator[Services]:
    async with PostgresSignals(database_url) as signals:
        settings, clock = Settings(base_url="https://jobs.example.com/"), SystemClock()
        yield Services(
            uow=units_of_work(engine),
            ticks=CronTicks(),
            orchestrator=prefect,
            logs=None,
            signals=signals,
            clock=clock,
            settings=settings,
            limits=CountedLimits(),
            identity=identity_provider(settings, clock, loopback_provider(settings)),
        )


@pytest.fixture
async def job(engine: AsyncEngine) -> UUID:
    return await add_job(engine)


async def add_job(engine: AsyncEngine, **values: Any) -> UUID:
    team, user, job_id = uuid4(), uuid4(), uuid4()
    async with engine.begin() as connection:
        await connection.execute(insert(teams).values(id=team, name=f"devops-{team}"))
        email = f"{user}@example.com"
        person = {"email": email, "display_name": "Maya", "role": "job_creator", "team_id": team}
        await connection.execute(insert(users).values(id=user, **person))
        row = {"name": SPEC.name, "type": "python", "team_id": team, "owner_id": user, "status": "active"}
        await connection.execute(insert(jobs).values(id=job_id, version=1, spec=SPEC.to_json(), **(row | values)))
    return job_id


async def stored(engine: AsyncEngine, job_id: UUID) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one()


async def change(engine: AsyncEngine, job_id: UUID, **values: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            update(jobs).where(jobs.c.id == job_id).values(generation=jobs.c.generation + 1, **values)
        )


async def test_a_job_is_shown_as_it_is_stored(services, prefect, engine, job):
    await sync_job(services, job, 5)
    row = await stored(engine, job)
    [(deployment_id, shown)] = prefect.shown.items()
    assert (row.synced_generation, row.prefect_deployment_id, row.sync_error) == (1, deployment_id, None)
    assert shown.spec == SPEC
    assert (shown.job_id, shown.version, shown.status) == (job, 1, JobStatus.ACTIVE)
    assert shown.page_url == f"https://jobs.example.com/jobs/{job}"


async def test_what_is_shown_already_is_left_alone(services, prefect, job):
    await sync_job(services, job, 5)
    await sync_job(services, job, 5)
    assert len(prefect.applied) == 1


async def test_a_deleted_job_is_removed(services, prefect, engine, job):
    await sync_job(services, job, 5)
    await change(engine, job, status="deleted")
    await sync_job(services, job, 5)
    assert prefect.shown == {}
    assert (await stored(engine, job)).synced_generation == 2


async def test_a_job_stays_pending_while_prefect_is_away_and_is_shown_when_it_is_back(services, prefect, engine, job):
    prefect.is_away = True
    await sync_job(services, job, 5)
    row = await stored(engine, job)
    assert (row.synced_generation, row.sync_error) == (0, None)
    prefect.is_away = False
    await Reconciler(services).round()
    assert (await stored(engine, job)).synced_generation == 1


async def test_a_refusal_is_noted_with_the_job_and_cleared_by_success(services, prefect, engine, job):
    class Refusing(FakeOrchestrator):
        async def apply(self, intent: DeploymentIntent) -> UUID:
            raise OrchestratorRefused("Prefect answered 422: no")

    await sync_job(replace(services, orchestrator=Refusing()), job, 5)
    assert (await stored(engine, job)).sync_error == "Prefect answered 422: no"
    await sync_job(services, job, 5)
    assert (await stored(engine, job)).sync_error is None


async def test_a_slow_prefect_keeps_a_person_no_longer_than_asked(services, engine, job):
    class Slow(FakeOrchestrator):
        async def apply(self, intent: DeploymentIntent) -> UUID:
            await asyncio.Event().wait()
            raise AssertionError

    async with asyncio.timeout(5):
        await sync_job(replace(services, orchestrator=Slow()), job, 0.1)
    assert (await stored(engine, job)).synced_generation == 0
    await sync_job(services, job, 5)
    assert (await stored(engine, job)).synced_generation == 1


async def test_two_processes_never_apply_generations_out_of_order(services, engine, job):
    class Gated(FakeOrchestrator):
        """Holds the first call until it is let go."""

        def __init__(self) -> None:
            super().__init__()
            self.entered, self.let_go = asyncio.Event(), asyncio.Event()

        async def apply(self, intent: DeploymentIntent) -> UUID:
            self.entered.set()
            await self.let_go.wait()
            return await super().apply(intent)

    gated = Gated()
    slow = replace(services, orchestrator=gated)
    older = asyncio.create_task(sync_job(slow, job, 5))
    await gated.entered.wait()
    await change(engine, job, version=2)
    newer = asyncio.create_task(sync_job(slow, job, 5))
    await Reconciler(slow).round()
    assert gated.applied == []
    gated.let_go.set()
    await asyncio.gather(older, newer)
    assert [intent.version for intent in gated.applied] == [1, 2]
    assert (await stored(engine, job)).synced_generation == 2


async def test_a_failed_job_is_paused_but_a_new_change_of_it_is_tried_at_once(services, prefect, engine, job):
    calls = 0

    class Counting(FakeOrchestrator):
        async def apply(self, intent: DeploymentIntent) -> UUID:
            nonlocal calls
            calls += 1
            raise OrchestratorRefused("no")

    reconciler = Reconciler(replace(services, orchestrator=Counting()))
    await reconciler.round()
    await reconciler.round()
    assert calls == 1
    await change(engine, job)
    await reconciler.round()
    assert calls == 2


async def test_one_job_that_prefect_refuses_does_not_hold_up_the_others(services, engine, job):
    class Picky(FakeOrchestrator):
        async def apply(self, intent: DeploymentIntent) -> UUID:
            if intent.job_id == job:
                raise OrchestratorRefused("not this one")
            return await super().apply(intent)

    others = [await add_job(engine) for _ in range(6)]
    picky = Picky()
    await Reconciler(replace(services, orchestrator=picky)).round()
    assert {intent.job_id for intent in picky.applied} == set(others)


async def test_deployments_that_prefect_lost_are_made_again(services, prefect, engine, job):
    await sync_job(services, job, 5)
    prefect.shown.clear()
    await Reconciler(services).round()
    [(deployment_id, intent)] = prefect.shown.items()
    assert intent.job_id == job
    assert (await stored(engine, job)).prefect_deployment_id == deployment_id


async def test_a_deployment_left_over_from_a_deleted_job_is_removed(services, prefect, engine, job):
    await sync_job(services, job, 5)
    leftover = dict(prefect.shown)
    await change(engine, job, status="deleted")
    await sync_job(services, job, 5)
    prefect.shown.update(leftover)
    await Reconciler(services).round()
    assert prefect.shown == {}


async def test_the_reconciler_is_woken_by_a_change(services, engine):
    class Watched(FakeOrchestrator):
        def __init__(self) -> None:
            super().__init__()
            self.first_round, self.was_applied = asyncio.Event(), asyncio.Event()

        async def deployments(self) -> dict[UUID, UUID]:
            self.first_round.set()
            return await super().deployments()

        async def apply(self, intent: DeploymentIntent) -> UUID:
            self.was_applied.set()
            return await super().apply(intent)

    watched = Watched()
    running = asyncio.create_task(reconcile_forever(replace(services, orchestrator=watched)))
    try:
        await watched.first_round.wait()
        job_id = await add_job(engine)
        async with services.uow() as uow:
            await uow.notify(Channel.SYNC, str(job_id))
        async with asyncio.timeout(2):
            await watched.was_applied.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
