"""What every executor promises (``work_pools.executors.protocol``), asked of each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from platform_api.domain.jobs import JobType
from tests.attempts import as_written, attempt_order, begin, lines_of, log_frames_of, until_lines
from work_pools.executors.local.executor import LocalExecutor, default_isolation
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.protocol import AlreadyStarted, AttemptRef, EndCause, Executor, Output, Standing

#: Makes an executor as a worker would; all of one test share their state, like workers of one pool.
Workers = Callable[[], Awaitable[Executor]]


@pytest.fixture(params=["local", "local, isolated"])
async def new_worker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workers]:
    isolation = Isolation.off() if request.param == "local" else default_isolation(tmp_path / "runs")
    async with AsyncExitStack() as opened:

        async def make() -> Executor:
            executor = LocalExecutor(tmp_path / "runs", isolation)
            await executor.open()
            opened.push_async_callback(executor.close)
            return executor

        yield make


@pytest.fixture
async def executor(new_worker: Workers) -> Executor:
    return await new_worker()


async def test_a_script_that_succeeds_ends_with_its_exit_code_and_times(executor: Executor) -> None:
    order = attempt_order("echo hello")
    await executor.prepare(order)
    before = datetime.now(UTC)
    started = await executor.start(order)
    end = await executor.wait(order.ref)
    assert (end.ref, end.cause, end.exit_code, end.signal, end.error) == (order.ref, EndCause.EXITED, 0, None, None)
    assert end.started_at == started
    assert before - timedelta(milliseconds=1) <= started <= end.ended_at <= datetime.now(UTC)


@pytest.mark.parametrize("code", [1, 3, 127, 255])
async def test_an_exit_code_is_reported_as_it_is(executor: Executor, code: int) -> None:
    end = await executor.wait(await begin(executor, attempt_order(f"exit {code}")))
    assert (end.cause, end.exit_code, end.signal) == (EndCause.EXITED, code, None)


async def test_a_script_that_dies_of_a_signal_is_told_from_one_that_exits(executor: Executor) -> None:
    end = await executor.wait(await begin(executor, attempt_order("kill -KILL $$")))
    assert (end.cause, end.exit_code, end.signal) == (EndCause.SIGNALLED, None, 9)


async def test_a_python_script_gets_its_arguments_as_they_are(executor: Executor) -> None:
    arguments = ["--full", "two words", "", "ü$HOME`id`'\""]
    order = attempt_order("import sys; print(sys.argv[1:])", type=JobType.PYTHON, arguments=arguments)
    ref = await begin(executor, order)
    await executor.wait(ref)
    assert await lines_of(executor, ref) == [repr(arguments)]


async def test_a_script_sees_its_own_environment(executor: Executor) -> None:
    ref = await begin(executor, attempt_order('echo "$REGION $TEXT"', env={"REGION": "eu", "TEXT": "a\nb ü"}))
    await executor.wait(ref)
    assert await lines_of(executor, ref) == ["eu a", "b ü"]


async def test_both_streams_are_kept_apart_and_in_order(executor: Executor) -> None:
    ref = await begin(executor, attempt_order("echo a; sleep .1; echo b >&2; sleep .1; echo c; sleep .1; echo d >&2"))
    await executor.wait(ref)
    frames = await log_frames_of(executor, ref)
    assert [(f.stream, f.data) for f in frames] == [
        ("stdout", b"a"),
        ("stderr", b"b"),
        ("stdout", b"c"),
        ("stderr", b"d"),
    ]
    assert [f.timestamp_us for f in frames] == sorted(f.timestamp_us for f in frames)


async def test_a_log_comes_out_as_it_went_in(executor: Executor) -> None:
    script = "import os\nos.write(1, bytes(range(256)) * 300 + b'\\n\\n' + b'x' * 200_000 + b'\\nno line feed')"
    ref = await begin(executor, attempt_order(script, type=JobType.PYTHON))
    await executor.wait(ref)
    written = bytes(range(256)) * 300 + b"\n\n" + b"x" * 200_000 + b"\nno line feed"
    assert as_written(await log_frames_of(executor, ref, size=1000), "stdout") == written


async def test_output_can_be_read_while_the_script_runs(executor: Executor) -> None:
    ref = await begin(executor, attempt_order("echo now; sleep 30"))
    assert await until_lines(executor, ref, 1) == ["now"]
    await executor.stop(ref, EndCause.CANCELLED)
    await executor.wait(ref)


async def test_there_is_no_output_before_the_start(executor: Executor) -> None:
    order = attempt_order("true")
    await executor.prepare(order)
    assert await executor.read_output(order.ref, 0, 1000) == Output(0, b"")


async def test_a_script_that_overruns_its_time_is_stopped(executor: Executor) -> None:
    end = await executor.wait(await begin(executor, attempt_order("sleep 30", timeout_seconds=0.3)))
    assert (end.cause, end.signal) == (EndCause.TIMED_OUT, 15)


async def test_a_script_may_clean_up_within_its_grace(executor: Executor) -> None:
    script = "trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep .05; done"
    ref = await begin(executor, attempt_order(script))
    await until_lines(executor, ref, 1)
    await executor.stop(ref, EndCause.CANCELLED)
    end = await executor.wait(ref)
    assert (end.cause, end.exit_code) == (EndCause.CANCELLED, 7)
    assert "cleaned" in await lines_of(executor, ref)


async def test_a_script_that_ignores_sigterm_is_killed_after_its_grace(executor: Executor) -> None:
    script = "trap '' TERM; while :; do sleep .05; done"
    end = await executor.wait(await begin(executor, attempt_order(script, timeout_seconds=0.3, grace_seconds=0.3)))
    assert (end.cause, end.signal) == (EndCause.TIMED_OUT, 9)
    assert end.started_at is not None
    assert (end.ended_at - end.started_at).total_seconds() >= 0.6


async def test_stopping_what_is_over_changes_nothing(executor: Executor) -> None:
    ref = await begin(executor, attempt_order("exit 4"))
    end = await executor.wait(ref)
    await executor.stop(ref, EndCause.CANCELLED)
    assert await executor.wait(ref) == end


async def test_any_number_may_wait_at_any_time(executor: Executor) -> None:
    order = attempt_order("sleep .2")
    await executor.prepare(order)
    early = asyncio.create_task(executor.wait(order.ref))
    await executor.start(order)
    ends = [await early, *await asyncio.gather(*(executor.wait(order.ref) for _ in range(5)))]
    assert len({end.ended_at for end in ends}) == 1


@pytest.mark.parametrize(
    ("left", "result", "fault"),
    [
        ('{"rows": [1, 2.5, null, "ü"]}', {"rows": [1, 2.5, None, "ü"]}, None),
        ("null", None, None),
        ("{not json", None, "no JSON"),
        ("", None, "no JSON"),
        ("NaN", None, "no JSON"),
        ("1e999", None, "no JSON"),
        (r'"\u0000"', None, "NUL"),
        (r'{"\ud800": 1}', None, "no JSON"),
        ("[" * 60_000, None, "no JSON"),
        ('"' + "x" * 65_536 + '"', None, "64 KiB"),
    ],
)
async def test_a_json_document_that_the_script_leaves_is_its_result(
    executor: Executor, left: str, result: object, fault: str | None
) -> None:
    script = f"import os\nopen(os.environ['JOB_RESULT'], 'w', encoding='utf-8').write({left!r})"
    end = await executor.wait(await begin(executor, attempt_order(script, type=JobType.PYTHON)))
    assert (end.cause, end.result) == (EndCause.EXITED, result)
    assert (fault or "") in (end.result_error or "")
    assert (fault is None) == (end.result_error is None)


async def test_a_script_that_fails_has_a_result_too(executor: Executor) -> None:
    end = await executor.wait(await begin(executor, attempt_order('echo 42 > "$JOB_RESULT"; exit 1')))
    assert (end.exit_code, end.result) == (1, 42)


@pytest.mark.parametrize("given", [{"arguments": ["a\0b"]}, {"env": {"A": "\0"}}, {"arguments": ["x" * 300_000]}])
async def test_what_cannot_be_started_is_an_end_and_no_error(executor: Executor, given: dict[str, object]) -> None:
    ref = await begin(executor, replace(attempt_order("true"), **given))
    end = await executor.wait(ref)
    assert (end.cause, end.started_at, end.exit_code) == (EndCause.NOT_STARTED, None, None)
    assert end.error


async def test_a_started_attempt_does_not_start_again(executor: Executor) -> None:
    order = attempt_order("echo once")
    await begin(executor, order)
    await executor.prepare(order)
    with pytest.raises(AlreadyStarted):
        await executor.start(order)
    await executor.wait(order.ref)
    assert await lines_of(executor, order.ref) == ["once"]


async def test_what_was_never_prepared_does_not_start(executor: Executor) -> None:
    with pytest.raises(AlreadyStarted):
        await executor.start(attempt_order("true"))


async def test_a_sealed_claim_cannot_start_any_more(executor: Executor) -> None:
    order = attempt_order("echo old")
    await executor.prepare(order)
    assert await executor.standing(order.ref) is Standing.NEVER_STARTED
    with pytest.raises(AlreadyStarted):
        await executor.start(order)
    with pytest.raises(AlreadyStarted):
        await begin(executor, order)


async def test_after_a_takeover_only_the_newer_claim_starts(new_worker: Workers) -> None:
    old_worker, heir = await new_worker(), await new_worker()
    old = attempt_order("echo old")
    await old_worker.prepare(old)
    assert await heir.standing(old.ref) is Standing.NEVER_STARTED
    new = attempt_order("echo new", ref=old.ref)
    await heir.prepare(new)
    with pytest.raises(AlreadyStarted):
        await old_worker.start(old)
    await heir.start(new)
    assert (await heir.wait(new.ref)).exit_code == 0
    assert await lines_of(heir, new.ref) == ["new"]


async def test_of_claims_that_race_exactly_one_starts(new_worker: Workers) -> None:
    workers = [await new_worker(), await new_worker()]
    for _ in range(10):
        ref = AttemptRef(uuid4(), 1)
        orders = [attempt_order("echo run", ref=ref) for _ in workers]
        for worker, order in zip(workers, orders, strict=True):
            await worker.prepare(order)
        starts = (worker.start(order) for worker, order in zip(workers, orders, strict=True))
        outcomes = await asyncio.gather(*starts, return_exceptions=True)
        assert sorted(isinstance(outcome, AlreadyStarted) for outcome in outcomes) == [False, True]
        await workers[0].wait(ref)
        assert await lines_of(workers[0], ref) == ["run"]


async def test_of_a_start_and_a_seal_that_race_exactly_one_wins(new_worker: Workers) -> None:
    worker, heir = await new_worker(), await new_worker()
    for _ in range(10):
        order = attempt_order("true")
        await worker.prepare(order)
        outcome, standing = await asyncio.gather(worker.start(order), heir.standing(order.ref), return_exceptions=True)
        assert isinstance(outcome, AlreadyStarted) == (standing is Standing.NEVER_STARTED)


async def test_another_worker_finds_watches_and_reads_what_runs(new_worker: Workers) -> None:
    worker, heir = await new_worker(), await new_worker()
    ref = await begin(worker, attempt_order("echo before; sleep .5; echo after; exit 5"))
    await worker.close()
    assert await heir.standing(ref) is Standing.RUNNING
    assert (await heir.wait(ref)).exit_code == 5
    assert await heir.standing(ref) is Standing.ENDED
    assert await lines_of(heir, ref) == ["before", "after"]


async def test_another_worker_may_stop_what_runs(new_worker: Workers) -> None:
    worker, heir = await new_worker(), await new_worker()
    ref = await begin(worker, attempt_order("sleep 30"))
    await heir.stop(ref, EndCause.CANCELLED)
    ends = await asyncio.gather(worker.wait(ref), heir.wait(ref))
    assert [end.cause for end in ends] == [EndCause.CANCELLED, EndCause.CANCELLED]


async def test_attempts_of_one_execution_know_nothing_of_each_other(executor: Executor) -> None:
    execution = UUID(int=7)
    refs = [await begin(executor, attempt_order(f"exit {n}", ref=AttemptRef(execution, n))) for n in (1, 2)]
    assert [(await executor.wait(ref)).exit_code for ref in refs] == [1, 2]
    await executor.discard(refs[0])
    assert (await executor.wait(refs[1])).exit_code == 2


async def test_nothing_is_left_of_what_is_discarded(executor: Executor) -> None:
    ref = await begin(executor, attempt_order("mkdir -p a/b; chmod 0 a; echo x"))
    await executor.wait(ref)
    await executor.discard(ref)
    await executor.discard(ref)
    assert await executor.read_output(ref, 0, 1000) == Output(0, b"")
