"""A request that is sent again with its Idempotency-Key takes effect once, whatever was killed in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, text
from starlette.responses import JSONResponse

from platform_api.db.schema import audit_log, idempotency_keys, jobs
from platform_api.rest.dependencies import _answer
from platform_api.use_cases import jobs as job_use_cases
from tests.cast import Cast, hello

KEY = {"Idempotency-Key": "a-key"}


async def count(cast: Cast, table: Any) -> int:
    async with cast.engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_a_repeat_gets_the_first_answer_and_makes_nothing(cast: Cast) -> None:
    first = await cast.maya.post("/jobs", hello(), headers=KEY)
    await cast.maya.patch(f"/jobs/{first.json()['job_id']}", {"description": "changed meanwhile"})
    again = await cast.maya.post("/jobs", hello(), headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await count(cast, jobs) == 1


async def test_the_same_key_with_another_body_or_address_is_refused(cast: Cast) -> None:
    first = await cast.maya.post("/jobs", hello(), headers=KEY)
    assert (await cast.maya.post("/jobs", hello(name="Other"), headers=KEY)).status_code == 409
    assert (await cast.maya.post(f"/jobs/{first.json()['job_id']}/clone", headers=KEY)).status_code == 409
    assert await count(cast, jobs) == 1


async def test_keys_of_different_people_do_not_meet(cast: Cast) -> None:
    assert (await cast.maya.post("/jobs", hello(), headers=KEY)).status_code == 201
    other = await cast.rajesh.post("/jobs", hello(), headers=KEY)
    assert (other.status_code, other.json()["owner"]) == (201, "rajesh@example.com")


async def test_of_repeats_at_once_one_takes_effect_and_all_get_an_answer(cast: Cast) -> None:
    answers = await asyncio.gather(*(cast.maya.post("/jobs", hello(), headers=KEY) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert await count(cast, jobs) == 1


async def test_a_refused_request_does_not_use_up_its_key(cast: Cast) -> None:
    assert (await cast.maya.post("/jobs", hello(schedule="x"), headers=KEY)).status_code == 400
    assert (await cast.chris.post("/jobs", hello(), headers=KEY)).status_code == 403
    assert await count(cast, idempotency_keys) == 0
    assert (await cast.maya.post("/jobs", hello(), headers=KEY)).status_code == 201


async def test_a_key_is_free_again_after_a_day(cast: Cast) -> None:
    await cast.maya.post("/jobs", hello(), headers=KEY)
    async with cast.engine.begin() as connection:
        await connection.execute(text("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'"))
    assert (await cast.maya.post("/jobs", hello(name="Other"), headers=KEY)).status_code == 201
    assert await count(cast, idempotency_keys) == 1


async def test_killed_behind_its_commit_a_request_is_answered_when_it_is_repeated(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the job's transaction, before Prefect is asked and before the answer is sent."""

    async def dies(*_: Any, **__: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(job_use_cases, "sync_job", dies)
    with pytest.raises(asyncio.CancelledError):
        await cast.maya.post("/jobs", hello(), headers=KEY)
    monkeypatch.undo()
    again = await cast.maya.post("/jobs", hello(), headers=KEY)
    assert (again.status_code, again.json()["sync"]["state"]) == (201, "pending")
    assert await count(cast, jobs) == 1


async def test_killed_before_its_commit_a_request_leaves_nothing_and_can_be_repeated(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any, **__: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(job_use_cases, "remember", dies)
    with pytest.raises(asyncio.CancelledError):
        await cast.maya.post("/jobs", hello(), headers=KEY)
    monkeypatch.undo()
    assert await count(cast, jobs) == await count(cast, idempotency_keys) == 0
    assert (await cast.maya.post("/jobs", hello(), headers=KEY)).status_code == 201


async def test_clone_and_rollback_take_effect_once(cast: Cast) -> None:
    job_id = (await cast.maya.post("/jobs", hello())).json()["job_id"]
    await cast.maya.patch(f"/jobs/{job_id}", {"tags": ["a"]})
    for key, path, body in (("1", "clone", None), ("2", "rollback", {"version": 1})):
        headers = {"Idempotency-Key": key}
        answers = [await cast.maya.post(f"/jobs/{job_id}/{path}", body, headers=headers) for _ in range(2)]
        assert answers[0].content == answers[1].content
    assert await count(cast, jobs) == 2
    assert (await cast.maya.get(f"/jobs/{job_id}")).json()["version"] == 3


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_is_none_is_refused(cast: Cast, key: str) -> None:
    answer = await cast.maya.post("/jobs", hello(), headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_a_repeat_is_not_audited_twice(cast: Cast) -> None:
    for _ in range(2):
        await cast.maya.post("/jobs", hello(), headers=KEY)
    created = audit_log.select().where(audit_log.c.action == "job.created").subquery()
    assert await count(cast, created) == 1


def test_what_is_kept_of_an_answer_is_what_a_client_needs() -> None:
    kept = _answer(JSONResponse({"a": 1}, 201, {"ETag": '"1-1"', "Location": "/x", "Set-Cookie": "no"}))
    assert (kept.status, kept.body) == (201, b'{"a":1}')
    assert kept.headers == {"etag": '"1-1"', "location": "/x", "content-type": "application/json"}
