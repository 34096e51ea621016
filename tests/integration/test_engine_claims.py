"""What becomes of Prefect's proposals, and of claims whose job changes before they start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.domain.jobs import JobSpec, JobType
from platform_api.ports.claims import Proposal
from tests.engine_room import Room, Worker, minute, open_room, proposals, until


@pytest.fixture
async def room(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(engine, database_url, tmp_path) as room:
        yield room


@pytest.fixture
async def worker(room: Room) -> Worker:
    return await room.worker()


def soon() -> datetime:
    """A moment to which a one-time job can be set: a whole second, at least one from now."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)


async def test_a_tick_proposed_twice_runs_once_and_the_other_flow_run_is_cancelled(room: Room, worker: Worker) -> None:
    job = await room.job()
    one, other = proposals(job, [minute(1), minute(1)])
    await worker.engine.propose([one])
    await worker.engine.propose([other])
    await worker.engine.propose([one, other])
    assert [row["id"] for row in await room.executions(job)] == [one.flow_run_id]
    assert await room.reports(one.flow_run_id) == ["Pending"]
    assert await room.reports(other.flow_run_id) == ["Cancelled"]


async def test_two_workers_that_hear_of_the_same_flow_run_do_not_cancel_it(room: Room, worker: Worker) -> None:
    (proposal,) = proposals(await room.job(), [minute(1)])
    other = await room.worker()
    for each in (worker, other):
        await each.engine.propose([proposal])
    assert await room.reports(proposal.flow_run_id) == ["Pending"]


@pytest.mark.parametrize("status", ["disabled", "deleted"])
async def test_a_proposal_of_a_job_that_is_not_active_is_deleted_in_prefect(
    room: Room, worker: Worker, status: str
) -> None:
    job = await room.job(status=status)
    (proposal,) = proposals(job, [minute(1)])
    await worker.engine.propose([proposal])
    assert await room.executions(job) == []
    assert await room.reports(proposal.flow_run_id) == ["delete"]


async def test_a_proposal_of_an_unknown_job_or_of_an_old_schedule_is_deleted_in_prefect(
    room: Room, worker: Worker
) -> None:
    job = await room.job(schedule="0 0 1 1 *")
    unknown, old = Proposal(uuid4(), uuid4(), minute(1)), Proposal(uuid4(), job, minute(1))
    await worker.engine.propose([unknown, old])
    assert await room.reports(unknown.flow_run_id) == await room.reports(old.flow_run_id) == ["delete"]


async def claimed_soon(room: Room, worker: Worker) -> tuple[Proposal, datetime]:
    """A one-time job whose only tick is claimed and due in a moment."""
    moment = soon()
    job = await room.job(schedule=None, run_at=moment)
    (proposal,) = proposals(job, [moment])
    await worker.engine.propose([proposal])
    assert (await room.execution(proposal.flow_run_id))["status"] == "queued"
    return proposal, moment


async def test_a_job_disabled_after_the_claim_is_skipped(room: Room, worker: Worker) -> None:
    proposal, _ = await claimed_soon(room, worker)
    await room.run_sql("UPDATE jobs SET status = 'disabled' WHERE id = :id", id=proposal.job_id)
    execution = await room.until_status(proposal.flow_run_id, "skipped")
    assert execution["reason"] == "The job was disabled"


async def test_a_job_deleted_after_the_claim_leaves_nothing(room: Room, worker: Worker) -> None:
    proposal, _ = await claimed_soon(room, worker)
    await room.run_sql("UPDATE jobs SET status = 'deleted' WHERE id = :id", id=proposal.job_id)
    await gone(room, proposal)
    assert room.machine.starts == []


async def test_a_job_edited_after_the_claim_runs_its_new_version(room: Room, worker: Worker) -> None:
    proposal, moment = await claimed_soon(room, worker)
    spec = JobSpec(name="edited", type=JobType.SHELL, script="say new\nexit 4", run_at=moment)
    await room.save(proposal.job_id, spec)
    execution = await room.until_status(proposal.flow_run_id, "failed")
    assert (execution["exit_code"], execution["job_version"]) == (4, 2)


async def test_a_job_whose_schedule_moved_away_after_the_claim_leaves_nothing(room: Room, worker: Worker) -> None:
    proposal, moment = await claimed_soon(room, worker)
    spec = JobSpec(name="edited", type=JobType.SHELL, script="exit 4", run_at=moment + timedelta(days=1))
    await room.save(proposal.job_id, spec)
    await gone(room, proposal)
    assert room.machine.starts == []


async def gone(room: Room, proposal: Proposal) -> None:
    """The claim is forgotten here and its flow run is to be deleted there."""

    async def is_gone() -> bool:
        return await room.executions(proposal.job_id) == []

    await until(is_gone)
    assert await room.reports(proposal.flow_run_id) == ["delete"]
