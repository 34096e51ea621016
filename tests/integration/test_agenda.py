"""Every tick has exactly one execution, whatever was away at its time: Prefect, the worker, the database, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from platform_api.domain.jobs import CatchUp, Concurrency
from tests.engine_room import Room, Worker, open_room, proposals, until

HOUR = timedelta(hours=1)


@pytest.fixture
async def room(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(engine, database_url, tmp_path) as room:
        room.clock.begin_a_minute()
        yield room


async def missed(room: Room, minutes: int, **fields: Any) -> UUID:
    """An every-minute job for which nothing has been there since so many minutes and a bit."""
    job = await room.job(**fields)
    await room.follow(job, room.clock.minute(-minutes))
    return job


async def all_over(room: Room, job: UUID, count: int, seconds: float = 30) -> list[dict[str, Any]]:
    """The job's executions up to the present minute, once there are so many and all have ended."""

    async def are_over() -> bool:
        rows = await passed(room, job)
        return len(rows) >= count and all(row["ended_at"] for row in rows)

    try:
        await until(are_over, seconds)
    except TimeoutError:
        rows = await passed(room, job)
        raise AssertionError(f"{len(rows)} of {count}: {[(r['scheduled_for'], r['status']) for r in rows]}") from None
    return await passed(room, job)


async def passed(room: Room, job: UUID) -> list[dict[str, Any]]:
    return [row for row in await room.executions(job) if row["scheduled_for"] <= room.clock.now()]


def ticks_of(rows: list[dict[str, Any]]) -> list[datetime]:
    return [row["scheduled_for"] for row in rows]


@pytest.mark.parametrize("concurrency", list(Concurrency))
@pytest.mark.parametrize("minutes", [1, 2, 120])
async def test_latest_makes_up_for_the_newest_missed_tick_only(
    room: Room, minutes: int, concurrency: Concurrency
) -> None:
    job = await missed(room, minutes, catch_up=CatchUp.LATEST, concurrency=concurrency)
    await room.worker()
    *replaced, newest = await all_over(room, job, minutes + 1)
    assert ticks_of([*replaced, newest]) == [room.clock.minute(n) for n in range(-minutes, 1)]
    assert (newest["status"], newest["triggered_by"]) == ("success", "catch_up")
    assert {row["status"] for row in replaced} == {"skipped"}
    reason = f"Missed: replaced by the run of {room.clock.minute():%Y-%m-%dT%H:%M:%SZ}"
    assert {row["reason"] for row in replaced} == {reason}
    assert [ref.execution_id for ref in room.machine.starts] == [newest["id"]]


@pytest.mark.parametrize("minutes", [1, 2, 120])
async def test_none_makes_up_for_nothing(room: Room, minutes: int) -> None:
    job = await missed(room, minutes, catch_up=CatchUp.NONE)
    await room.worker()
    *skipped, late = await all_over(room, job, minutes + 1)
    assert ticks_of([*skipped, late]) == [room.clock.minute(n) for n in range(-minutes, 1)]
    assert {(row["status"], row["reason"]) for row in skipped} == {
        ("skipped", "Missed while nothing was there to start it")
    }
    # Less than a minute late is not missed.
    assert (late["status"], late["triggered_by"]) == ("success", "scheduled")


@pytest.mark.parametrize("concurrency", list(Concurrency))
@pytest.mark.parametrize("minutes", [1, 2, 30])
async def test_all_makes_up_for_each_in_order_and_one_after_the_other(
    room: Room, minutes: int, concurrency: Concurrency
) -> None:
    job = await missed(room, minutes, catch_up=CatchUp.ALL, concurrency=concurrency)
    await room.worker()
    rows = await all_over(room, job, minutes + 1)
    assert ticks_of(rows) == [room.clock.minute(n) for n in range(-minutes, 1)]
    assert {(row["status"], row["triggered_by"]) for row in rows} == {("success", "catch_up")}
    by_id = {row["id"]: row["scheduled_for"] for row in rows}
    started = [by_id[ref.execution_id] for ref in room.machine.starts]
    assert started == sorted(started)
    if concurrency is not Concurrency.ALLOW:
        assert all(one["ended_at"] <= next_["started_at"] for one, next_ in pairwise(rows))


async def test_all_is_capped_and_the_older_ticks_say_so(room: Room) -> None:
    job = await missed(room, 119, catch_up=CatchUp.ALL)
    await room.worker()
    rows = await all_over(room, job, 120, 90)
    assert ticks_of(rows) == [room.clock.minute(n) for n in range(-119, 1)]
    assert {(row["status"], row["reason"]) for row in rows[:20]} == {
        ("skipped", "Missed: only the newest 100 missed ticks are made up for")
    }
    assert {row["status"] for row in rows[20:]} == {"success"}
    assert len(room.machine.starts) == 100


async def test_a_tick_that_prefect_does_not_propose_starts_on_time(room: Room) -> None:
    room.clock.ahead = timedelta(0)
    tick = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    job = await room.job(schedule=None, run_at=tick)
    await room.follow(job)
    await room.worker()
    (run,) = await all_over(room, job, 1)
    assert run["triggered_by"] == "scheduled"
    assert timedelta(0) <= run["started_at"] - tick < timedelta(seconds=1)
    # Its flow run is made in Prefect, behind.
    assert await room.reports(run["id"]) == ["Pending", "Running", "Completed"]
    assert run["prefect_flow_run_id"] is None


async def test_prefects_flow_run_of_a_tick_that_we_settled_becomes_its_own(room: Room) -> None:
    job = await missed(room, 1, catch_up=CatchUp.LATEST)
    worker = await room.worker()
    skipped, run = await all_over(room, job, 2)
    late, later = proposals(job, [room.clock.minute(-1), room.clock.minute()])
    second = proposals(job, [room.clock.minute()])
    await worker.engine.propose([late, later])
    await worker.engine.propose([late, later, *second])
    assert (await room.execution(run["id"]))["prefect_flow_run_id"] == later.flow_run_id
    assert await room.reports(run["id"]) == ["Running", "Completed"]
    assert (await room.execution(skipped["id"]))["prefect_flow_run_id"] == late.flow_run_id
    assert await room.reports(skipped["id"]) == ["Skipped"]
    assert await room.reports(second[0].flow_run_id) == ["Cancelled"]


async def test_a_flow_run_that_is_being_made_in_prefect_already_makes_the_proposed_one_the_second(room: Room) -> None:
    job = await missed(room, 0)
    worker = await room.worker()
    (run,) = await all_over(room, job, 1)
    await room.run_sql("UPDATE prefect_reports SET tries = 1 WHERE kind = 'create'")
    (proposal,) = proposals(job, [room.clock.minute()])
    await worker.engine.propose([proposal])
    assert await room.reports(proposal.flow_run_id) == ["Cancelled"]
    assert await room.reports(run["id"]) == ["Pending", "Running", "Completed"]


async def test_a_passed_tick_is_left_to_the_agenda_and_a_coming_one_to_prefect(room: Room) -> None:
    job = await room.job()
    worker = await room.worker()
    late, coming = proposals(job, [room.clock.minute(-2), room.clock.minute(1)])
    await worker.engine.propose([late, coming])
    assert [row["id"] for row in await room.executions(job)] == [coming.flow_run_id]
    assert await room.reports(late.flow_run_id) == []


async def test_what_a_worker_had_claimed_before_all_went_down_follows_the_policy_too(room: Room) -> None:
    jobs = {catch_up: await room.job(catch_up=catch_up) for catch_up in CatchUp}
    first = await room.worker()
    for job in jobs.values():
        await room.follow(job, room.clock.minute(2))
        await first.engine.propose(proposals(job, [room.clock.minute(1)]))
    await first.die()
    room.clock.step(2 * HOUR)
    await room.worker(catch_up_at_most=5)
    outcomes = {catch_up: await all_over(room, job, 120) for catch_up, job in jobs.items()}
    for rows in outcomes.values():
        assert ticks_of(rows) == [room.clock.minute(n) for n in range(1, 121)]
    assert [row["status"] for row in outcomes[CatchUp.LATEST]] == ["skipped"] * 119 + ["success"]
    assert [row["status"] for row in outcomes[CatchUp.NONE]] == ["skipped"] * 119 + ["success"]
    # Claimed in time, it is made up for before the newest five.
    assert [row["status"] for row in outcomes[CatchUp.ALL]] == ["success"] + ["skipped"] * 114 + ["success"] * 5
    assert outcomes[CatchUp.ALL][0]["triggered_by"] == "catch_up"


async def test_two_workers_settle_each_tick_once(room: Room) -> None:
    jobs = [await missed(room, 120, catch_up=CatchUp.LATEST) for _ in range(20)]
    await asyncio.gather(*(room.worker() for _ in range(2)))
    for job in jobs:
        rows = await all_over(room, job, 121)
        assert ticks_of(rows) == [room.clock.minute(n) for n in range(-120, 1)]
    assert len(room.machine.starts) == len(set(room.machine.starts)) == 20


async def test_ticks_of_a_disabled_period_are_nobodys(room: Room) -> None:
    job = await missed(room, 10, status="disabled")
    await room.worker()
    await until(lambda: settled(room, job))
    assert await room.executions(job) == []
    # What enabling does.
    await room.run_sql(
        "UPDATE jobs SET status = 'active', scheduled_since = :m WHERE id = :id", m=room.clock.minute(-1), id=job
    )
    await room.run_sql("UPDATE agenda SET next_tick_at = '-infinity' WHERE job_id = :id", id=job)
    assert ticks_of(await all_over(room, job, 2)) == [room.clock.minute(-1), room.clock.minute()]


async def settled(room: Room, job: UUID) -> bool:
    return bool(await room.run_sql("SELECT 1 FROM agenda WHERE job_id = :id AND next_tick_at = 'infinity'", id=job))


async def test_a_job_whose_calendar_cannot_be_read_stops_no_other(room: Room) -> None:
    broken, sound = await missed(room, 1), await missed(room, 1)
    await room.run_sql(
        "UPDATE jobs SET spec = jsonb_set(spec, '{timezone}', '\"Mars/Olympus\"') WHERE id = :id", id=broken
    )
    await room.worker()
    await all_over(room, sound, 2)
    assert await room.executions(broken) == []


async def test_a_worker_of_another_pool_settles_nothing(room: Room) -> None:
    job = await missed(room, 3)
    await room.worker(work_pool="elsewhere")
    await asyncio.sleep(1)
    assert await room.executions(job) == []


@pytest.fixture
async def claimed(room: Room) -> tuple[Worker, UUID]:
    """A worker with an every-minute job that is settled up to now, its next tick claimed ahead."""
    job = await room.job(catch_up=CatchUp.LATEST)
    await room.follow(job, room.clock.minute(2))
    worker = await room.worker()
    await worker.engine.propose(proposals(job, [room.clock.minute(1)]))
    return worker, job


async def test_a_clock_set_an_hour_ahead_misses_and_doubles_nothing(room: Room, claimed: tuple[Worker, UUID]) -> None:
    worker, job = claimed
    room.clock.step(HOUR)
    rows = await all_over(room, job, 60)
    assert ticks_of(rows) == [room.clock.minute(n) for n in range(1, 61)]
    assert [row["status"] for row in rows] == ["skipped"] * 59 + ["success"]
    # Prefect proposes what it had made ahead; and once the clock is right again, that hour once more.
    late = proposals(job, ticks_of(rows))
    await worker.engine.propose(late)
    room.clock.step(-HOUR)
    await worker.engine.propose(late)
    await asyncio.sleep(1.5)
    assert len(room.machine.starts) == 1
    assert ticks_of(await room.executions(job)) == ticks_of(rows)


async def test_a_clock_set_an_hour_back_doubles_nothing_and_goes_on_where_it_was(room: Room) -> None:
    job = await missed(room, 70, catch_up=CatchUp.LATEST)
    worker = await room.worker()
    before = await all_over(room, job, 71)
    room.clock.step(-HOUR)
    await worker.engine.propose(proposals(job, ticks_of(before)))
    await asyncio.sleep(1.5)
    assert ticks_of(await room.executions(job)) == ticks_of(before)
    assert len(room.machine.starts) == 1
    room.clock.step(HOUR + timedelta(minutes=1))
    rows = await all_over(room, job, 72)
    assert ticks_of(rows) == [*ticks_of(before), room.clock.minute(1)]
    assert len(room.machine.starts) == 2


async def test_a_database_that_was_away_for_two_hours_is_an_outage_like_any_other(
    room: Room, claimed: tuple[Worker, UUID], database_url: str
) -> None:
    _, job = claimed
    start = room.clock.minute(1)
    name = database_url.rpartition("/")[2].partition("?")[0]
    admin = room.database.url.set(database="postgres")
    await without_connections(admin, name, allowed=False)
    room.clock.step(2 * HOUR)
    await asyncio.sleep(1.5)
    await without_connections(admin, name, allowed=True)
    rows = await all_over(room, job, 120)
    assert ticks_of(rows) == [start + timedelta(minutes=n) for n in range(120)]
    assert [row["status"] for row in rows] == ["skipped"] * 119 + ["success"]
    assert len(room.machine.starts) == 1


async def without_connections(admin: URL, name: str, *, allowed: bool) -> None:
    """Throw everybody out of the database and let nobody in, or let them in again."""
    engine = create_async_engine(admin, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {str(allowed).lower()}'))
        if not allowed:
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
            )
    await engine.dispose()


async def test_a_run_that_waits_its_turn_comes_behind_those_that_wait_already(room: Room) -> None:
    job = await room.job("hold", concurrency=Concurrency.QUEUE)
    await room.worker()
    first = room.clock.now()
    runs = [await room.run_by_hand(job, due_at=first + timedelta(milliseconds=n)) for n in range(3)]
    for run in runs:
        await room.until_status(run, "running")
        # Due at the moment at which the place becomes free, while others have been waiting for it.
        await room.run_by_hand(job, due_at=room.clock.now())
        room.machine.running(run).finish(exit_code=0)
    assert [ref.execution_id for ref in room.machine.starts][:3] == runs
