"""Who gets through which door, and what a refusal leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from platform_api.db.schema import api_keys, audit_log, users
from platform_api.identity.sample_users import ensure_sample_people
from platform_api.use_cases.key_uses import write_uses
from tests.cast import Cast, hello, settings_for_tests

EVERYBODY = ("admin", "maya", "nadia", "rajesh", "chris", "stranger")

#: What each person gets at a job of Maya's: admin, maya, nadia, rajesh, chris, stranger.
AT_MAYAS_JOB: list[tuple[str, str, Any, tuple[int, ...]]] = [
    ("GET", "", None, (200, 200, 404, 404, 200, 401)),
    ("GET", "/versions", None, (200, 200, 404, 404, 200, 401)),
    ("GET", "/versions/1", None, (200, 200, 404, 404, 200, 401)),
    ("GET", "/versions/1/diff/1", None, (200, 200, 404, 404, 200, 401)),
    ("PUT", "", hello(), (200, 200, 404, 404, 403, 401)),
    ("PATCH", "", {"tags": ["x"]}, (200, 200, 404, 404, 403, 401)),
    ("POST", "/enable", None, (200, 200, 404, 404, 403, 401)),
    ("POST", "/disable", None, (200, 200, 404, 404, 403, 401)),
    ("POST", "/clone", None, (201, 201, 404, 404, 403, 401)),
    ("POST", "/rollback", {"version": 1}, (200, 200, 404, 404, 403, 401)),
    ("DELETE", "", None, (204, 204, 404, 404, 403, 401)),
]

AT_NO_JOB: list[tuple[str, str, Any, tuple[int, ...]]] = [
    ("POST", "/jobs/validate", hello(), (200, 200, 200, 200, 403, 401)),
    ("POST", "/jobs", hello(name="New"), (201, 201, 409, 201, 403, 401)),
    ("GET", "/jobs", None, (200, 200, 200, 200, 200, 401)),
    ("GET", "/users/me", None, (200, 200, 200, 200, 200, 401)),
    ("GET", "/audit-logs", None, (200, 403, 403, 403, 403, 401)),
    ("GET", "/audit-logs?format=csv", None, (200, 403, 403, 403, 403, 401)),
]


async def jobs_id(cast: Cast) -> str:
    return str((await cast.maya.post("/jobs", hello())).json()["job_id"])


async def denials(cast: Cast) -> list[Any]:
    query = select(audit_log).where(audit_log.c.outcome == "denied").order_by(audit_log.c.id)
    async with cast.engine.connect() as connection:
        return list((await connection.execute(query)).all())


@pytest.mark.parametrize(("method", "path", "body", "statuses"), AT_MAYAS_JOB)
async def test_who_may_do_what_with_mayas_job(
    cast: Cast, method: str, path: str, body: Any, statuses: tuple[int, ...]
) -> None:
    job_id = await jobs_id(cast)
    # Those who are refused come first: they leave the job as it is for those who are not.
    for who, status in sorted(zip(EVERYBODY, statuses, strict=True), key=lambda pair: -pair[1]):
        if method == "DELETE" and status == 204:
            job_id = (await cast.maya.post("/jobs", hello(name=who))).json()["job_id"]
        rest = {"json": body} if body is not None else {}
        answer = await cast.named(who).request(method, f"/jobs/{job_id}{path}", **rest)
        assert (who, answer.status_code) == (who, status)


@pytest.mark.parametrize(("method", "path", "body", "statuses"), AT_NO_JOB)
async def test_who_may_begin_what(cast: Cast, method: str, path: str, body: Any, statuses: tuple[int, ...]) -> None:
    for who, status in zip(EVERYBODY, statuses, strict=True):
        rest = {"json": body} if body is not None else {}
        answer = await cast.named(who).request(method, path, **rest)
        assert (who, answer.status_code) == (who, status)


async def test_a_job_one_may_not_see_looks_like_one_that_does_not_exist(cast: Cast) -> None:
    job_id = await jobs_id(cast)
    missing = "00000000-0000-4000-8000-000000000000"
    hidden = (await cast.rajesh.get(f"/jobs/{job_id}")).json()
    absent = (await cast.rajesh.get(f"/jobs/{missing}")).json()
    for name in ("type", "title", "status"):
        assert hidden[name] == absent[name]
    assert hidden["detail"].replace(job_id, "") == absent["detail"].replace(missing, "")


async def test_a_denial_is_in_the_trail_with_who_what_why_and_from_where(cast: Cast) -> None:
    job_id = await jobs_id(cast)
    await cast.rajesh.delete(f"/jobs/{job_id}", headers={"X-Request-ID": "abc"})
    await cast.chris.post("/jobs", hello(name="x"))
    deleted, created = await denials(cast)
    assert (deleted.action, deleted.actor_email, deleted.resource_id) == ("access.denied", "rajesh@example.com", job_id)
    assert deleted.changes == {"permission": {"old": None, "new": "job:delete"}}
    assert "does not see" in deleted.reason
    assert (str(deleted.ip_address), deleted.request_id) == ("127.0.0.1", "abc")
    assert (created.actor_email, created.resource_type) == ("chris@example.com", "job")
    assert created.changes == {"permission": {"old": None, "new": "job:create"}}


async def test_a_refused_change_leaves_the_denial_and_nothing_else(cast: Cast) -> None:
    job_id = await jobs_id(cast)
    before = (await cast.maya.get(f"/jobs/{job_id}")).json()
    await cast.chris.patch(f"/jobs/{job_id}", {"script": "evil"})
    assert (await cast.maya.get(f"/jobs/{job_id}")).json() == before
    assert [row.action for row in await denials(cast)] == ["access.denied"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "jp_wrong"},
        {"X-API-Key": "jp_" + "x" * 5000},
        {"X-API-Key": "jp_ü\udcff".encode("utf-8", "surrogateescape")},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer a.b.c"},
    ],
)
async def test_without_a_credential_that_holds_nobody_gets_in(cast: Cast, headers: Any) -> None:
    answer = await cast.stranger.client.get("/api/v1/users/me", headers=headers)
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


async def test_two_credentials_at_once_are_refused(cast: Cast) -> None:
    answer = await cast.maya.get("/users/me", headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("column", "words"), [("expires_at", "expired"), ("revoked_at", "revoked"), ("is_active", "not active")]
)
async def test_an_expired_or_revoked_key_and_an_inactive_person_are_turned_away(
    cast: Cast, column: str, words: str
) -> None:
    person = select(users.c.id).where(users.c.email == "maya@example.com").scalar_subquery()
    past = datetime.now(UTC) - timedelta(seconds=1)
    if column == "is_active":
        change = update(users).where(users.c.id == person).values(is_active=False)
    else:
        change = update(api_keys).where(api_keys.c.user_id == person).values({column: past})
    async with cast.engine.begin() as connection:
        await connection.execute(change)
    answer = await cast.maya.get("/users/me")
    assert (answer.status_code, words in answer.json()["detail"]) == (401, True)
    [failure] = await denials(cast)
    assert (failure.action, failure.actor_email) == ("authentication.failed", "maya@example.com")


async def test_an_unknown_key_is_in_the_trail_without_the_key(cast: Cast) -> None:
    await cast.stranger.client.get("/api/v1/users/me", headers={"X-API-Key": "jp_a-wrong-key"})
    [failure] = await denials(cast)
    assert (failure.action, failure.actor_id) == ("authentication.failed", None)
    assert "wrong-key" not in str(failure)


async def test_a_narrowed_key_does_what_its_scope_says(cast: Cast) -> None:
    job_id = await jobs_id(cast)
    async with cast.engine.begin() as connection:
        await connection.execute(update(api_keys).values(scopes=["jobs:read"]))
    assert (await cast.maya.get("/users/me")).json()["scopes"] == ["jobs:read"]
    assert (await cast.maya.get(f"/jobs/{job_id}")).status_code == 200
    assert (await cast.maya.post("/jobs", hello(name="x"))).status_code == 403
    refused = await cast.maya.delete(f"/jobs/{job_id}")
    assert (refused.status_code, "jobs:write" in refused.json()["detail"]) == (403, True)
    assert (await cast.rajesh.delete(f"/jobs/{job_id}")).status_code == 404


async def test_only_a_keyed_hash_of_a_key_is_stored_and_its_use_is_noted(cast: Cast) -> None:
    await cast.maya.get("/users/me")
    await write_uses(cast.services)
    async with cast.engine.connect() as connection:
        rows = (await connection.execute(select(api_keys))).all()
    [mine] = [row for row in rows if cast.maya.key and cast.maya.key.startswith(row.prefix)]
    assert cast.maya.key
    assert cast.maya.key.encode() not in bytes(mine.key_hash)
    assert len(mine.prefix) == 10
    assert mine.last_used_at is not None


async def test_sample_people_are_made_once_and_their_keys_can_be_made_anew(cast: Cast) -> None:
    settings = cast.services.settings
    again = await ensure_sample_people(cast.engine, settings)
    assert [person.api_key for person in again] == [None] * 5
    fresh = await ensure_sample_people(cast.engine, settings, fresh_keys=True)
    assert all(person.api_key and person.api_key.startswith("jp_") for person in fresh)
    assert (await cast.maya.get("/users/me")).status_code == 401
    async with cast.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(users))).scalar_one() == 5


async def test_production_has_no_sample_people(cast: Cast) -> None:
    with pytest.raises(RuntimeError, match="never in production"):
        await ensure_sample_people(cast.engine, settings_for_tests(environment="production"))
