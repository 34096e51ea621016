"""Workers that die at the worst moment: no attempt starts twice, none is lost, each end is reported once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.domain.retries import RetryPolicy
from platform_api.ports.logs import LogChunk, LogQuery
from tests.engine_room import Room, open_room, until
from tests.scripted_executor import ScriptedExecutor


@pytest.fixture
async def room(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(engine, database_url, tmp_path) as room:
        yield room


async def started(room: Room, count: int) -> None:
    async def enough() -> bool:
        return len(room.machine.starts) >= count

    await until(enough)


async def test_running_scripts_of_a_dead_worker_are_adopted_and_their_ends_reported_once(room: Room) -> None:
    first = await room.worker()
    runs = [await room.run_by_hand(await room.job("say one\nhold")) for _ in range(5)]
    await started(room, 5)
    await first.die()
    room.machine.running(runs[0]).finish(exit_code=0)
    second = await room.worker()
    for run in runs[1:]:
        room.machine.running(run).write("two")
        room.machine.running(run).finish(exit_code=0)
    for number, run in enumerate(runs):
        await room.until_status(run, "success")
        assert await room.reports(run) == ["Running", "Completed"]
        lines = [line.text for line in (await second.equipment.logs.page(run, LogQuery())).lines]
        assert lines == (["one"] if number == 0 else ["one", "two"])
    assert len(room.machine.starts) == 5


async def test_an_attempt_whose_worker_died_between_intent_and_start_starts_once(room: Room) -> None:
    executor = ScriptedExecutor(room.machine)
    executor.dies_before_start = True
    first = await room.worker(executor)
    run = await room.run_by_hand(await room.job("exit 0"))
    await room.until_status(run, "running")
    await first.die()
    await room.worker()
    await room.until_status(run, "success")
    assert len(room.machine.starts) == 1
    assert (await room.execution(run))["attempt"] == 1


async def test_an_attempt_cancelled_before_its_adoption_never_starts(room: Room) -> None:
    executor = ScriptedExecutor(room.machine)
    executor.dies_before_start = True
    first = await room.worker(executor)
    run = await room.run_by_hand(await room.job("exit 0"))
    await room.until_status(run, "running")
    await first.die()
    await room.run_sql(
        "UPDATE executions SET cancel_requested_at = now(), cancel_requested_by = 'maya' WHERE id = :i", i=run
    )
    await room.worker()
    await room.until_status(run, "cancelled")
    assert room.machine.starts == []


async def test_what_a_dead_worker_had_claimed_starts_on_time_elsewhere(room: Room) -> None:
    first = await room.worker()
    due = datetime.now(UTC) + timedelta(seconds=1.5)
    run = await room.run_by_hand(await room.job("exit 0"), due_at=due)

    async def claimed() -> bool:
        return bool((await room.execution(run))["worker_id"] == first.id)

    await until(claimed)
    await first.die()
    await room.worker()
    execution = await room.until_status(run, "success")
    assert timedelta(0) <= execution["started_at"] - due < timedelta(seconds=10)


async def test_a_worker_that_stops_in_order_gives_back_claims_and_leaves_scripts_running(room: Room) -> None:
    first = await room.worker()
    running = await room.run_by_hand(await room.job("hold"))
    waiting = await room.run_by_hand(await room.job("exit 0"), due_at=datetime.now(UTC) + timedelta(seconds=30))
    await started(room, 1)
    await first.engine.stop()
    assert (await room.execution(waiting))["worker_id"] is None
    assert (await room.execution(running))["status"] == "running"
    await room.worker()
    room.machine.running(running).finish(exit_code=0)
    await room.until_status(running, "success")


async def test_the_retry_of_a_dead_workers_run_comes_at_its_time(room: Room) -> None:
    first = await room.worker()
    policy = RetryPolicy(max_retries=1, retry_delay_seconds=1)
    run = await room.run_by_hand(await room.job("exit 1", retry_policy=policy))
    await room.until_status(run, "retrying")
    await first.die()
    await room.worker()
    await room.until_status(run, "failed")
    assert [ref.attempt for ref in room.machine.starts] == [1, 2]


async def test_a_worker_that_hangs_is_taken_over_and_says_nothing_when_it_comes_back(room: Room) -> None:
    first = await room.worker()
    run = await room.run_by_hand(await room.job("hold"))
    await started(room, 1)
    # The lease loop alone stops: as a process that gets no more time, its lock is still held.
    for task in [t for t in first.engine._loops._tasks if t.get_name() == "lease"]:
        task.cancel()
    second = await room.worker()

    async def adopted() -> bool:
        return bool((await room.execution(run))["worker_id"] == second.id)

    await until(adopted)
    room.machine.running(run).finish(exit_code=0)
    await room.until_status(run, "success")
    await asyncio.sleep(0.3)
    assert await room.reports(run) == ["Running", "Completed"]


async def test_a_run_that_its_worker_lost_sight_of_is_found_again(room: Room) -> None:
    worker = await room.worker()
    run = await room.run_by_hand(await room.job("exit 0"), due_at=datetime.now(UTC) + timedelta(hours=1))
    # As after a commit whose confirmation was lost.
    await room.run_sql("UPDATE executions SET status = 'running', worker_id = :w WHERE id = :i", w=worker.id, i=run)
    await room.run_sql("INSERT INTO attempts (execution_id, attempt, status) VALUES (:i, 1, 'running')", i=run)
    await room.until_status(run, "success")
    assert len(room.machine.starts) == 1


async def test_a_log_is_whole_although_the_store_died_before_it_confirmed(room: Room) -> None:
    equipment = room.equipment()
    logs, run = equipment.logs, await room.run_by_hand(await room.job("say one\nhold"))
    append = logs.append

    async def append_and_die(chunks: list[LogChunk], *, worker_id: UUID) -> set[UUID]:
        await append(chunks, worker_id=worker_id)
        monkey.setattr(logs, "append", append)
        room.machine.running(run).write("two")
        raise ConnectionError("the confirmation is lost")

    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr(logs, "append", append_and_die)
        await room.serve(equipment)
        await started(room, 1)

        async def both_are_there() -> bool:
            return [line.text for line in (await logs.page(run, LogQuery())).lines] == ["one", "two"]

        await until(both_are_there)
    room.machine.running(run).finish(exit_code=0)
    await room.until_status(run, "success")
