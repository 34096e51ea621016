"""One worker on a real database: starts, ends, retries, cancellation, overlap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.domain.jobs import Concurrency
from platform_api.domain.retries import RetryPolicy
from platform_api.ports.logs import LogQuery
from tests.engine_room import Room, minute, open_room, proposals, until


@pytest.fixture
async def room(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(engine, database_url, tmp_path) as room:
        yield room


async def test_a_run_by_hand_starts_at_once_and_ends_with_its_verdict_and_its_log(room: Room) -> None:
    worker = await room.worker()
    run = await room.run_by_hand(await room.job("say hello\ncomplain oh no\nexit 0"))
    execution = await room.until_status(run, "success")
    assert (execution["exit_code"], execution["error_message"], execution["worker"]) == (0, None, "worker-1")
    page = await worker.equipment.logs.page(run, LogQuery())
    assert [(line.stream, line.text) for line in page.lines] == [("stdout", "hello"), ("stderr", "oh no")]
    assert await room.reports(run) == ["Running", "Completed"]
    (attempt,) = await room.attempts(run)
    assert (attempt["status"], attempt["started_at"]) == ("success", execution["started_at"])


async def test_a_failure_quotes_the_exit_code_and_the_last_line_of_stderr(room: Room) -> None:
    await room.worker()
    run = await room.run_by_hand(await room.job("complain disk is full\nexit 3"))
    execution = await room.until_status(run, "failed")
    assert (execution["exit_code"], execution["error_message"]) == (3, "Exit code 3: disk is full")


async def test_a_run_gets_its_own_arguments_and_environment(room: Room) -> None:
    await room.worker()
    job = await room.job("hold", arguments=("--full",), env={"REGION": "eu", "JOB_ID": "forged"})
    run = await room.run_by_hand(job, overrides={"arguments": ["--one"], "env": {"REGION": "us"}})
    await room.until_status(run, "running")
    await until(lambda: _has_started(room))
    order = room.machine.running(run).order
    assert order
    assert list(order.arguments) == ["--one"]
    assert (order.env["REGION"], order.env["JOB_ID"], order.env["ATTEMPT"]) == ("us", str(job), "1")
    assert order.env["EXECUTION_ID"] == str(run)
    assert "PREFECT_API_URL" not in order.env


async def _has_started(room: Room, count: int = 1) -> bool:
    return len(room.machine.starts) >= count


async def test_a_failed_attempt_is_followed_by_another_and_only_the_last_is_the_verdict(room: Room) -> None:
    await room.worker()
    policy = RetryPolicy(max_retries=2, retry_delay_seconds=0)
    run = await room.run_by_hand(await room.job("exit 1", retry_policy=policy))
    execution = await room.until_status(run, "failed")
    assert execution["attempt"] == 3
    assert [a["status"] for a in await room.attempts(run)] == ["failed"] * 3
    assert [a["next_attempt_at"] is not None for a in await room.attempts(run)] == [True, True, False]
    expected = ["Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Failed"]
    assert await room.reports(run) == expected


async def test_a_running_script_is_cancelled_on_request_and_not_retried(room: Room) -> None:
    await room.worker()
    run = await room.run_by_hand(await room.job("hold", retry_policy=RetryPolicy(max_retries=5)))
    await room.until_status(run, "running")
    await room.run_sql(
        "UPDATE executions SET cancel_requested_at = now(), cancel_requested_by = 'maya@example.com' WHERE id = :id",
        id=run,
    )
    await room.run_sql("SELECT pg_notify('job_platform_work', 'local')")
    execution = await room.until_status(run, "cancelled")
    assert execution["reason"] == "Cancelled by maya@example.com"


async def test_a_waiting_run_is_cancelled_from_prefect_at_once(room: Room) -> None:
    worker = await room.worker()
    (proposal,) = proposals(await room.job(), [minute(1)])
    await worker.engine.propose([proposal])
    await worker.engine.cancel_flow_run(proposal.flow_run_id)
    assert (await room.execution(proposal.flow_run_id))["status"] == "cancelled"
    assert await room.reports(proposal.flow_run_id) == ["Pending", "Cancelled"]


@pytest.mark.parametrize(
    ("concurrency", "second", "reason"),
    [
        (Concurrency.SKIP, "skipped", "Execution {} was still running"),
        (Concurrency.QUEUE, "queued", "Waits for execution {}"),
        (Concurrency.ALLOW, "running", None),
    ],
)
async def test_what_becomes_of_a_run_while_another_of_its_job_runs(
    room: Room, concurrency: Concurrency, second: str, reason: str | None
) -> None:
    await room.worker()
    job = await room.job("hold", concurrency=concurrency)
    exclusive = concurrency is not Concurrency.ALLOW
    first_run = await room.run_by_hand(job, exclusive=exclusive)
    await room.until_status(first_run, "running")
    second_run = await room.run_by_hand(job, exclusive=exclusive)

    async def decided() -> bool:
        execution = await room.execution(second_run)
        return execution["status"] == second and execution["reason"] == (reason and reason.format(first_run))

    await until(decided)


async def test_queued_runs_of_a_job_run_one_after_the_other_in_order(room: Room) -> None:
    await room.worker()
    job = await room.job("hold", concurrency=Concurrency.QUEUE)
    now = datetime.now(UTC)
    runs = [await room.run_by_hand(job, due_at=now + timedelta(milliseconds=i)) for i in range(4)]
    for count, run in enumerate(runs, start=1):
        await room.until_status(run, "running")
        await until(lambda count=count: _has_started(room, count))
        room.machine.running(run).finish(exit_code=0)
    await room.until_status(runs[-1], "success")
    assert [ref.execution_id for ref in room.machine.starts] == runs


async def test_a_retrying_run_keeps_its_jobs_place_between_two_attempts(room: Room) -> None:
    await room.worker()
    job = await room.job("hold", retry_policy=RetryPolicy(max_retries=1, retry_delay_seconds=1))
    first = await room.run_by_hand(job)
    await room.until_status(first, "running")
    await until(lambda: _has_started(room))
    room.machine.running(first).finish(exit_code=1)
    await room.until_status(first, "retrying")
    second = await room.run_by_hand(job)
    assert (await room.until_status(second, "skipped"))["reason"] == f"Execution {first} was still running"
    await room.until_status(first, "running")


async def test_two_workers_racing_for_one_place_never_both_get_it(room: Room) -> None:
    jobs = [await room.job("hold") for _ in range(10)]
    workers = [await room.worker() for _ in range(2)]
    soon = datetime.now(UTC) + timedelta(seconds=1)
    for job in jobs:
        for worker in workers:
            await room.run_by_hand(job, due_at=soon)
            await room.run_sql(
                "UPDATE executions SET worker_id = :w WHERE job_id = :j AND worker_id IS NULL", w=worker.id, j=job
            )

    async def decided() -> bool:
        rows = await room.run_sql("SELECT count(*) AS n FROM executions WHERE status = 'queued'")
        return bool(rows[0]["n"] == 0)

    await until(decided)
    for job in jobs:
        assert sorted(row["status"] for row in await room.executions(job)) == ["running", "skipped"]
    assert len(room.machine.starts) == 10


async def test_a_hundred_runs_due_in_the_same_second_all_start_once_and_none_early(room: Room) -> None:
    worker = await room.worker()
    jobs = [await room.job("hold") for _ in range(100)]
    soon = datetime.now(UTC) + timedelta(seconds=2)
    for job in jobs:
        await room.run_by_hand(job, due_at=soon)
    await until(lambda: _has_started(room, 100))
    assert min(moment for _, moment in room.machine.moments) >= soon
    assert len(set(room.machine.starts)) == 100
    assert len(worker.engine.live) == 100
