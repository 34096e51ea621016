"""Runs by hand: queued in one transaction with everything that follows from them, once per request."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from sqlalchemy import func, select

from platform_api.db.schema import executions
from platform_api.db.signals import PostgresSignals
from platform_api.ports.signals import Channel
from tests.cast import Cast
from tests.history import a_job, an_execution_of, audited, reported, stored


async def count(cast: Cast) -> int:
    async with cast.engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(executions)) or 0


async def test_a_run_is_queued_reported_announced_and_recorded(cast: Cast, database_url: str) -> None:
    job = await a_job(cast.maya, priority="high", concurrency="allow")
    async with PostgresSignals(database_url) as signals, signals.subscribe(Channel.WORK, "local") as work:
        assert await work.wait(5)
        response = await cast.maya.post(f"/jobs/{job}/run")
        assert await work.wait(5)
    assert response.status_code == 202
    execution = response.json()["execution_id"]
    assert response.headers["location"] == f"/api/v1/executions/{execution}"
    row = await stored(cast.engine, execution)
    assert (row.status, row.triggered_by, row.scheduled_for, row.job_version) == ("queued", "api", None, 1)
    assert (row.exclusive, row.priority, row.pool, row.worker_id, row.overrides) == (False, 1, "local", None, None)
    assert await reported(cast.engine, execution) == [("create", None)]
    (entry,) = await audited(cast.admin, action="job.run")
    assert entry["changes"]["execution_id"] == {"old": None, "new": execution}
    found = (await cast.maya.get(f"/executions/{execution}")).json()
    assert (found["triggered_by_user"], found["status"], found["attempts"]) == ("maya@example.com", "queued", [])


async def test_arguments_and_env_are_for_this_run_only(cast: Cast) -> None:
    job = await a_job(cast.maya, arguments=["a"], env={"A": "1"})
    overrides = {"arguments": ["--full"], "env": {"DB_PASSWORD": "hush", "B": "2"}}
    response = await cast.maya.post(f"/jobs/{job}/run", overrides)
    assert (await stored(cast.engine, response.json()["execution_id"])).overrides == overrides
    assert (await cast.maya.get(f"/jobs/{job}")).json()["env"] == {"A": "1"}
    (entry,) = await audited(cast.admin, action="job.run")
    assert "hush" not in str(entry)


async def test_no_arguments_is_not_the_same_as_the_jobs_own(cast: Cast) -> None:
    job = await a_job(cast.maya, arguments=["a"])
    response = await cast.maya.post(f"/jobs/{job}/run", {"arguments": []})
    assert (await stored(cast.engine, response.json()["execution_id"])).overrides == {"arguments": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"argument": ["x"]}, "argument"),
        ({"arguments": "x"}, "arguments"),
        ({"arguments": [1]}, "arguments.0"),
        ({"arguments": ["a\0b"]}, "arguments.0"),
        ({"arguments": ["x" * 9000]}, "arguments.0"),
        ({"env": {"1A": "x"}}, "env.1A"),
        ({"env": {"JOB_ID": "x"}}, "env.JOB_ID"),
        ({"env": {"A": 1}}, "env.A"),
        ([], "body"),
    ],
)
async def test_what_cannot_be_run_is_refused_and_leaves_nothing(cast: Cast, body: Any, field: str) -> None:
    job = await a_job(cast.maya)
    response = await cast.maya.post(f"/jobs/{job}/run", body)
    assert response.status_code == 400, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert await count(cast) == 0


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"env": {"A": "\\ud800"}}', b'{"arguments": [NaN]}'])
async def test_a_body_that_cannot_be_read_is_refused(cast: Cast, body: bytes) -> None:
    job = await a_job(cast.maya)
    json = {"content-type": "application/json"}
    response = await cast.maya.request("POST", f"/jobs/{job}/run", content=body, headers=json)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert await count(cast) == 0


async def test_a_disabled_job_may_be_run_by_hand_a_deleted_one_never(cast: Cast) -> None:
    job = await a_job(cast.maya)
    await cast.maya.post(f"/jobs/{job}/disable")
    assert (await cast.maya.post(f"/jobs/{job}/run")).status_code == 202
    await cast.maya.delete(f"/jobs/{job}")
    assert (await cast.maya.post(f"/jobs/{job}/run")).status_code == 404
    assert await count(cast) == 1


async def test_the_same_key_runs_once(cast: Cast) -> None:
    job = await a_job(cast.maya)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answers = [await cast.maya.post(f"/jobs/{job}/run", headers=key) for _ in range(3)]
    assert {answer.json()["execution_id"] for answer in answers} == {answers[0].json()["execution_id"]}
    assert await count(cast) == 1


class TestRetry:
    """What is over can run again, as the job is now."""

    async def test_it_is_a_new_execution_of_the_present_version_with_the_same_overrides(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        failed = await an_execution_of(cast.engine, job, "failed", overrides={"arguments": ["--full"]})
        await cast.maya.patch(f"/jobs/{job}", {"script": "print('mended')"})
        response = await cast.maya.post(f"/executions/{failed}/retry")
        assert response.status_code == 202
        row = await stored(cast.engine, response.json()["execution_id"])
        assert (row.retry_of, row.triggered_by, row.job_version) == (failed, "retry", 2)
        assert row.overrides == {"arguments": ["--full"]}
        assert await reported(cast.engine, row.id) == [("create", None)]
        assert (await audited(cast.admin, action="execution.retried"))[0]["resource_id"] == str(failed)

    @pytest.mark.parametrize("status", ["queued", "running", "retrying"])
    async def test_what_is_under_way_cannot_be_repeated(self, cast: Cast, status: str) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), status)
        assert (await cast.maya.post(f"/executions/{execution}/retry")).status_code == 409
        assert await count(cast) == 1

    async def test_a_deleted_jobs_execution_cannot_be_repeated(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        execution = await an_execution_of(cast.engine, job, "failed")
        await cast.maya.delete(f"/jobs/{job}")
        assert (await cast.maya.post(f"/executions/{execution}/retry")).status_code == 409
        assert (await stored(cast.engine, execution)).dealt_with_at is None

    async def test_a_failure_that_was_repeated_is_no_dead_letter(self, cast: Cast) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), "failed")
        await cast.maya.post(f"/executions/{execution}/retry")
        assert (await cast.maya.get("/dead-letters")).json()["items"] == []


class TestDeadLetters:
    """Failures wait until somebody deals with them."""

    async def listed(self, cast: Cast) -> list[str]:
        return [item["execution_id"] for item in (await cast.maya.get("/dead-letters")).json()["items"]]

    async def test_only_failures_are_listed(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        made = {
            status: str(await an_execution_of(cast.engine, job, status))
            for status in ("failed", "timed_out", "crashed", "success", "cancelled", "skipped", "retrying")
        }
        assert set(await self.listed(cast)) == {made["failed"], made["timed_out"], made["crashed"]}

    async def test_pages_follow_each_other(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        made = {str(await an_execution_of(cast.engine, job, "failed")) for _ in range(5)}
        first = (await cast.maya.get("/dead-letters?limit=3")).json()
        second = (await cast.maya.get(f"/dead-letters?limit=3&cursor={first['next_cursor']}")).json()
        assert {item["execution_id"] for item in first["items"] + second["items"]} == made
        assert second["next_cursor"] is None

    async def test_a_replay_happens_once_however_many_try(self, cast: Cast) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), "failed")
        answers = await asyncio.gather(
            *(cast.maya.post(f"/dead-letters/{execution}/replay") for _ in range(4)),
        )
        assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
        assert await count(cast) == 2
        assert await self.listed(cast) == []

    async def test_a_dismissed_one_leaves_the_list_and_stays_in_the_history(self, cast: Cast) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), "crashed")
        assert (await cast.maya.delete(f"/dead-letters/{execution}")).status_code == 204
        assert await self.listed(cast) == []
        assert (await cast.maya.get(f"/executions/{execution}")).json()["status"] == "crashed"
        assert (await cast.maya.delete(f"/dead-letters/{execution}")).status_code == 409
        assert len(await audited(cast.admin, action="dead_letter.dismissed")) == 1

    async def test_a_success_is_no_dead_letter(self, cast: Cast) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya))
        assert (await cast.maya.post(f"/dead-letters/{execution}/replay")).status_code == 409
