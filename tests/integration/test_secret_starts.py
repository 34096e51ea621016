"""Secrets are read just ahead of a start, and a store that is slow or away is nobody else's trouble (D2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.domain.retries import RetryPolicy
from platform_api.ports.secret_store import StoreAway, ValueLost
from platform_api.ports.secrets import MemorySecrets, SecretValues
from tests.engine_room import Room, open_room, until
from work_pools import secrets_ahead
from work_pools.executors.protocol import AttemptRef

PASSWORD = "c0rrect-horse"
USING = {"PASSWORD": "password"}


class MoodySecrets(MemorySecrets):
    """A store in memory that may be slow or away, and counts who asks."""

    def __init__(self) -> None:
        super().__init__({"password": PASSWORD})
        self.answers = asyncio.Event()
        self.answers.set()
        self.was_asked = asyncio.Event()
        self.trouble: Exception | None = None
        self.asked: list[tuple[UUID, datetime]] = []

    async def values(self, execution_id: UUID, job_id: UUID, declared: Mapping[str, str]) -> SecretValues:
        self.asked.append((job_id, datetime.now(UTC)))
        self.was_asked.set()
        await self.answers.wait()
        if self.trouble:
            raise self.trouble
        return await super().values(execution_id, job_id, declared)


@pytest.fixture
async def secrets() -> MoodySecrets:
    return MoodySecrets()


@pytest.fixture
async def room(
    engine: AsyncEngine,
    database_url: str,
    tmp_path: Path,
    secrets: MoodySecrets,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Room]:
    monkeypatch.setattr(secrets_ahead, "ASKED_FOR_SECONDS", 0.8)
    monkeypatch.setattr(secrets_ahead, "AGAIN_AFTER_SECONDS", 0.1)
    async with open_room(engine, database_url, tmp_path) as room:
        room.secrets = secrets
        yield room


def env_of(room: Room, run: UUID, attempt: int = 1) -> Mapping[str, str]:
    order = room.machine.attempts[AttemptRef(run, attempt)].order
    assert order
    return order.env


async def test_the_script_gets_the_value_and_nothing_before_it_does(room: Room) -> None:
    await room.worker()
    run = await room.run_by_hand(await room.job(secrets=USING, env={"A": "b"}))
    await room.until_status(run, "success")
    assert {"PASSWORD": PASSWORD, "A": "b"}.items() <= env_of(room, run).items()


async def test_a_run_that_is_claimed_ahead_has_its_secrets_read_a_few_seconds_ahead(
    room: Room, secrets: MoodySecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_ahead, "AHEAD_SECONDS", 1.0)
    await room.worker()
    due = datetime.now(UTC) + timedelta(seconds=2)
    run = await room.run_by_hand(await room.job(secrets=USING), due_at=due)
    await room.until_status(run, "success")
    [(_, asked)] = secrets.asked
    assert timedelta(seconds=0.5) < due - asked < timedelta(seconds=1.1)


async def test_a_value_that_was_read_too_long_ago_is_read_again(
    room: Room, secrets: MoodySecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_ahead, "AHEAD_SECONDS", 1.5)
    monkeypatch.setattr(secrets_ahead, "FRESH_SECONDS", 0.5)
    await room.worker()
    due = datetime.now(UTC) + timedelta(seconds=2)
    run = await room.run_by_hand(await room.job(secrets=USING), due_at=due)
    await secrets.was_asked.wait()
    secrets.set("password", "a newer value")
    await room.until_status(run, "success")
    assert env_of(room, run)["PASSWORD"] == "a newer value"


async def test_a_store_that_thinks_keeps_nobody_elses_script_waiting(room: Room, secrets: MoodySecrets) -> None:
    await room.worker()
    secrets.answers.clear()
    slow = [await room.run_by_hand(await room.job(secrets=USING)) for _ in range(40)]
    for run in slow:
        await room.until_status(run, "running")
    others = [await room.run_by_hand(await room.job()) for _ in range(5)]
    for run in others:
        await room.until_status(run, "success")
    assert {(await room.execution(run))["status"] for run in slow} == {"running"}
    secrets.answers.set()
    for run in slow:
        await room.until_status(run, "success")


async def test_a_store_that_is_away_fails_the_attempt_and_the_policy_tries_again(
    room: Room, secrets: MoodySecrets
) -> None:
    await room.worker()
    secrets.trouble = StoreAway("it cannot be reached")
    policy = RetryPolicy(max_retries=1, retry_delay_seconds=1)
    run = await room.run_by_hand(await room.job(secrets=USING, retry_policy=policy))
    await room.until_status(run, "retrying")
    secrets.trouble = None
    await room.until_status(run, "success")
    first, second = await room.attempts(run)
    assert first["status"] == "failed"
    assert first["error_message"] == (
        "The script could not be started: The secret store did not answer: it cannot be reached"
    )
    assert second["status"] == "success"
    assert room.machine.starts == [AttemptRef(run, 2)]


async def test_a_store_that_says_nothing_fails_the_attempt_after_a_bounded_time(
    room: Room, secrets: MoodySecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_ahead, "LONGEST_WAIT_SECONDS", 0.5)
    await room.worker()
    secrets.answers.clear()
    run = await room.run_by_hand(await room.job(secrets=USING))
    execution = await room.until_status(run, "failed")
    assert "The secret store did not answer: nothing was heard within" in execution["error_message"]
    assert room.machine.starts == []


async def test_a_store_that_comes_back_in_time_costs_nothing(room: Room, secrets: MoodySecrets) -> None:
    await room.worker()
    secrets.trouble = StoreAway("it cannot be reached")
    run = await room.run_by_hand(await room.job(secrets=USING))
    await room.until_status(run, "running")
    secrets.trouble = None
    await room.until_status(run, "success")
    assert len(await room.attempts(run)) == 1


async def test_a_worker_that_died_between_the_intent_and_the_value_leaves_a_run_that_still_gets_it(
    room: Room, secrets: MoodySecrets
) -> None:
    first = await room.worker()
    secrets.answers.clear()
    run = await room.run_by_hand(await room.job(secrets=USING))
    await room.until_status(run, "running")
    await first.die()
    secrets.answers.set()
    await room.worker()
    await room.until_status(run, "success")
    assert env_of(room, run)["PASSWORD"] == PASSWORD


async def test_what_does_not_start_is_forgotten(
    room: Room, secrets: MoodySecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_ahead, "AHEAD_SECONDS", 60.0)
    worker = await room.worker()
    job = await room.job(secrets=USING)
    run = await room.run_by_hand(job, due_at=datetime.now(UTC) + timedelta(seconds=1.5))
    await secrets.was_asked.wait()
    await room.run_sql("UPDATE jobs SET status = 'deleted' WHERE id = :id", id=job)
    await room.until_status(run, "cancelled")
    ahead = worker.engine._secrets
    assert (ahead._expected, ahead._readings) == ({}, {})


class LostSecrets(MoodySecrets):
    """Gives values, and cannot give them again."""

    async def given(self, execution_id: UUID) -> frozenset[str]:
        raise ValueLost("The secret password is sealed under a master key that is not here")


@pytest.mark.parametrize(("code", "words"), [(0, "The result was not kept: "), (3, "Exit code 3")])
async def test_an_adopted_script_whose_secrets_are_lost_comes_to_its_end_without_a_word(
    room: Room, code: int, words: str
) -> None:
    room.secrets = LostSecrets()
    first = await room.worker()
    run = await room.run_by_hand(await room.job(f"say {PASSWORD}\nhold", secrets=USING))
    await room.until_status(run, "running")

    async def runs() -> bool:
        return AttemptRef(run, 1) in room.machine.starts

    await until(runs)
    await first.die()
    await room.run_sql("DELETE FROM log_chunks")
    await room.worker()

    async def adopted() -> bool:
        return (await room.execution(run))["worker_id"] == room.workers[-1].id

    await until(adopted)
    room.machine.running(run).write(PASSWORD, "stderr")
    room.machine.running(run).finish(exit_code=code, result={"got": PASSWORD})
    execution = await room.until_status(run, "success", "failed")
    assert (execution["error_message"] or "").startswith(words)
    assert PASSWORD not in str(execution)
    assert await room.run_sql("SELECT 1 FROM log_chunks") == []
