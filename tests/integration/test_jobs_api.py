"""Jobs over REST: make, look, change, switch, clone, delete."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import audit_log, executions, job_versions, jobs
from tests.cast import Cast, assemble_cast, hello, services_on, settings_for_tests

CONTRACT: dict[str, Any] = {
    "name": "Hourly API Ingestion - Salesforce",
    "description": "",
    "type": "python",
    "script": "print('hi')",
    "script_url": None,
    "git": None,
    "arguments": ["--full"],
    "env": {"REGION": "eu"},
    "secrets": {},
    "schedule": "0 * * * *",
    "run_at": None,
    "interval_seconds": None,
    "timezone": "UTC",
    "timeout_minutes": 15,
    "retry_policy": {"max_retries": 3, "retry_delay_minutes": 2, "exponential_backoff": False},
    "concurrency": "skip",
    "catch_up": "latest",
    "priority": "normal",
    "resources": {"cpu": "1", "memory": "2Gi"},
    "image": None,
    "notifications": {"on_failure": ["data-eng@example.com"], "on_success": [], "slack_webhook": None},
    "tags": ["etl"],
    "metadata": {"cost_centre": "4711"},
    "status": "active",
}


async def made(cast: Cast, who: str = "maya", **changed: Any) -> dict[str, Any]:
    """A job that somebody made."""
    answer = await cast.named(who).post("/jobs", hello(**changed))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def count(cast: Cast, table: Any) -> int:
    async with cast.engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_a_new_job_says_everything_the_contract_promises(cast: Cast) -> None:
    cast.clock.at = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    answer = await cast.maya.post("/jobs", CONTRACT)
    job = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/jobs/{job['job_id']}"
    assert answer.headers["etag"] == '"1-1"'
    given = {name: job[name] for name in CONTRACT if name != "retry_policy"}
    assert given == {name: value for name, value in CONTRACT.items() if name != "retry_policy"}
    assert job["retry_policy"].items() >= CONTRACT["retry_policy"].items()
    assert (job["owner"], job["team"], job["version"]) == ("maya@example.com", "devops", 1)
    assert job["next_execution"] == "2026-05-04T11:00:00Z"
    assert job["last_execution"] is None
    assert job["sync"] == {"state": "synced", "error": None}
    assert job["prefect_deployment_id"] in {str(known) for known in cast.orchestrator.shown}


async def test_what_was_made_can_be_read_and_is_told_to_prefect(cast: Cast) -> None:
    job = await made(cast)
    assert (await cast.maya.get(f"/jobs/{job['job_id']}")).json() == job
    [intent] = cast.orchestrator.applied
    assert (str(intent.job_id), intent.spec.name, intent.team, intent.owner) == (
        job["job_id"],
        "Hello",
        "devops",
        "maya@example.com",
    )


async def test_while_prefect_is_away_a_job_is_saved_and_says_that_it_waits(cast: Cast) -> None:
    cast.orchestrator.is_away = True
    job = await made(cast, schedule="0 * * * *")
    assert job["sync"] == {"state": "pending", "error": None}
    assert job["prefect_deployment_id"] is None
    assert job["next_execution"] is not None


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"schedule": "61 * * * *"}, "schedule", "position 1"),
        ({"schedule": "0 0 30 2 *"}, "schedule", "never"),
        ({"schedule": "* * * *"}, "schedule", ""),
        ({"schedule": ""}, "schedule", ""),
        ({"timezone": "Mars/Olympus"}, "timezone", "Mars/Olympus"),
        ({"run_at": "2020-01-01T00:00:00Z"}, "run_at", "past"),
        ({"run_at": "0001-01-01T00:00:00+14:00"}, "run_at", ""),
        ({"interval_seconds": 59}, "interval_seconds", "60"),
        ({"schedule": "0 * * * *", "run_at": "2999-01-01T00:00:00Z"}, "run_at", "second schedule"),
    ],
)
async def test_a_bad_schedule_is_refused_and_nothing_is_kept(
    cast: Cast, changed: dict[str, Any], field: str, words: str
) -> None:
    for path in ("/jobs", "/jobs/validate"):
        answer = await cast.maya.post(path, hello(**changed))
        assert answer.status_code == 400
        assert [fault["field"] for fault in answer.json()["errors"]] == [field]
        assert words in answer.json()["errors"][0]["message"]
    assert await count(cast, jobs) == 0


async def test_all_faults_are_told_at_once_with_those_of_the_schedule(cast: Cast) -> None:
    answer = await cast.maya.post("/jobs", {"type": 1, "schedule": "61 * * * *", "tags": [""], "foo": 1})
    assert {fault["field"] for fault in answer.json()["errors"]} == {
        "name", "type", "schedule", "tags.0", "foo", "script",
    }  # fmt: skip


async def test_validation_tells_the_next_five_runs_and_makes_nothing(cast: Cast) -> None:
    cast.clock.at = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    answer = await cast.maya.post("/jobs/validate", hello(schedule="0 2 * * *"))
    assert answer.status_code == 200
    assert answer.json()["next_executions"] == [f"2026-05-0{day}T02:00:00Z" for day in range(5, 10)]
    assert "02:00" in answer.json()["description"]
    assert (await cast.maya.get("/jobs")).json()["items"] == []


async def test_a_name_is_taken_once_per_team_in_any_case(cast: Cast) -> None:
    job = await made(cast)
    assert (await cast.maya.post("/jobs", hello(name="HELLO"))).status_code == 409
    assert (await cast.nadia.post("/jobs", hello())).status_code == 409
    assert (await cast.rajesh.post("/jobs", hello())).status_code == 201
    other = await made(cast, name="Other")
    assert (await cast.maya.patch(f"/jobs/{other['job_id']}", {"name": "hello"})).status_code == 409
    assert (await cast.maya.delete(f"/jobs/{job['job_id']}")).status_code == 204
    assert (await cast.nadia.post("/jobs", hello())).status_code == 201


async def test_of_many_who_take_a_name_at_once_one_gets_it(cast: Cast) -> None:
    answers = await asyncio.gather(*(cast.maya.post("/jobs", hello()) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert await count(cast, jobs) == await count(cast, job_versions) == 1


async def test_a_teams_quota_holds_against_additions_at_once(engine: AsyncEngine, tmp_path: Any) -> None:
    settings = settings_for_tests(home=tmp_path, max_jobs_per_team=2)
    cast = await assemble_cast(engine, services_on(engine, settings))
    answers = await asyncio.gather(*(cast.maya.post("/jobs", hello(name=f"Job {n}")) for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) > 0
    assert (await cast.rajesh.post("/jobs", hello())).status_code == 201
    first = next(answer for answer in answers if answer.status_code == 201).json()
    assert (await cast.maya.delete(f"/jobs/{first['job_id']}")).status_code == 204
    assert (await cast.nadia.post("/jobs", hello(name="Again"))).status_code == 201


async def test_a_put_replaces_everything_and_leaves_the_status(cast: Cast) -> None:
    job = await made(cast, schedule="0 * * * *", tags=["etl"])
    await cast.maya.post(f"/jobs/{job['job_id']}/disable")
    answer = await cast.maya.put(f"/jobs/{job['job_id']}", hello(script="print(2)"))
    changed = answer.json()
    assert (answer.status_code, changed["version"]) == (200, 2)
    assert (changed["schedule"], changed["tags"], changed["script"]) == (None, [], "print(2)")
    assert changed["status"] == "disabled"


async def test_what_a_get_answered_can_be_put_back_with_a_change(cast: Cast) -> None:
    job = await made(cast, timeout_seconds=90)
    same = await cast.maya.put(f"/jobs/{job['job_id']}", job)
    assert (same.status_code, same.json()["version"]) == (200, 1)
    changed = await cast.maya.put(f"/jobs/{job['job_id']}", job | {"description": "new"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = await cast.maya.put(f"/jobs/{job['job_id']}", job | {"description": "newer"})
    assert stale.status_code == 412


async def test_what_the_platform_decides_cannot_be_changed(cast: Cast) -> None:
    job = await made(cast)
    answer = await cast.maya.patch(f"/jobs/{job['job_id']}", {"owner": "rajesh@example.com", "team": "platform"})
    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["errors"]} == {"owner", "team"}
    assert (await cast.maya.post("/jobs", hello(name="x", owner="maya@example.com"))).status_code == 400


async def test_a_patch_changes_what_it_names_and_null_means_the_default(cast: Cast) -> None:
    job = await made(cast, schedule="0 * * * *", env={"A": "1", "B": "2"}, timeout_minutes=5)
    answer = await cast.maya.patch(
        f"/jobs/{job['job_id']}", {"schedule": None, "env": {"A": None, "C": "3"}, "timeout_seconds": 45}
    )
    changed = answer.json()
    assert (changed["schedule"], changed["env"]) == (None, {"B": "2", "C": "3"})
    assert (changed["timeout_seconds"], changed["timeout_minutes"]) == (45, 0.75)
    assert changed["script"] == job["script"]
    assert changed["next_execution"] is None


async def test_a_patch_is_checked_like_a_new_job_and_changes_nothing_when_refused(cast: Cast) -> None:
    job = await made(cast)
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"x": deep}
    patches = ({"timeout_minutes": 0}, {"foo": 1}, {"name": None}, {"schedule": "x"}, {"status": "deleted"})
    for patch in (*patches, {"metadata": deep}):
        assert (await cast.maya.patch(f"/jobs/{job['job_id']}", patch)).status_code == 400
    assert (await cast.maya.get(f"/jobs/{job['job_id']}")).json() == job


async def test_saving_without_a_difference_makes_no_version(cast: Cast) -> None:
    job = await made(cast)
    answer = await cast.maya.patch(f"/jobs/{job['job_id']}", {"description": ""})
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert await count(cast, job_versions) == 1


async def test_a_job_that_ran_once_can_still_be_edited(cast: Cast) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    job = await made(cast, run_at=moment.isoformat())
    cast.clock.at = moment + timedelta(hours=1)
    answer = await cast.maya.patch(f"/jobs/{job['job_id']}", {"description": "it ran"})
    assert (answer.status_code, answer.json()["next_execution"]) == (200, None)
    again = await cast.maya.patch(f"/jobs/{job['job_id']}", {"run_at": moment.isoformat().replace("T", "T")})
    assert again.status_code == 200
    earlier = await cast.maya.patch(f"/jobs/{job['job_id']}", {"run_at": (moment - timedelta(hours=1)).isoformat()})
    assert earlier.status_code == 400


async def test_if_match_lets_only_one_of_two_editors_win(cast: Cast) -> None:
    job = await made(cast)
    path, tag = f"/jobs/{job['job_id']}", {"If-Match": '"1-1"'}
    answers = await asyncio.gather(*(cast.maya.patch(path, {"description": f"by {n}"}, headers=tag) for n in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert (await cast.maya.delete(path, headers=tag)).status_code == 412
    assert (await cast.maya.post(f"{path}/disable", headers=tag)).status_code == 412
    fresh = (await cast.maya.get(path)).headers["etag"]
    assert (await cast.maya.patch(path, {"tags": ["a"]}, headers={"If-Match": f'"0-0", {fresh}'})).status_code == 200
    assert (await cast.maya.patch(path, {"tags": ["b"]}, headers={"If-Match": "*"})).status_code == 200


async def test_a_disabled_job_has_no_next_execution_and_an_enabled_one_starts_afresh(cast: Cast) -> None:
    job = await made(cast, schedule="0 * * * *")
    off = await cast.maya.post(f"/jobs/{job['job_id']}/disable")
    assert (off.status_code, off.json()["status"], off.json()["next_execution"]) == (200, "disabled", None)
    assert off.json()["version"] == 1
    async with cast.engine.begin() as connection:
        await connection.execute(text("UPDATE jobs SET scheduled_since = scheduled_since - interval '1 day'"))
    on = await cast.maya.post(f"/jobs/{job['job_id']}/enable")
    assert (on.json()["status"], on.json()["next_execution"] is None) == ("active", False)
    async with cast.engine.connect() as connection:
        row = (await connection.execute(select(jobs.c.scheduled_since, jobs.c.updated_at))).one()
    assert row.scheduled_since == row.updated_at
    assert [intent.status.value for intent in cast.orchestrator.applied] == ["active", "disabled", "active"]


async def test_switching_to_what_it_is_already_changes_nothing(cast: Cast) -> None:
    job = await made(cast)
    answer = await cast.maya.post(f"/jobs/{job['job_id']}/enable")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1-1"')


async def test_a_deleted_job_is_gone_for_everybody_and_its_history_stays(cast: Cast) -> None:
    job = await made(cast)
    path = f"/jobs/{job['job_id']}"
    assert (await cast.maya.delete(path)).status_code == 204
    assert (await cast.maya.get(path)).status_code == 404
    assert (await cast.maya.delete(path)).status_code == 404
    assert (await cast.maya.post(f"{path}/enable")).status_code == 404
    assert (await cast.maya.patch(path, {"tags": []})).status_code == 404
    assert (await cast.maya.get("/jobs")).json()["items"] == []
    [deleted] = (await cast.maya.get("/jobs?status=deleted")).json()["items"]
    assert (deleted["status"], deleted["next_execution"]) == ("deleted", None)
    assert len((await cast.maya.get(f"{path}/versions")).json()["items"]) == 1
    assert cast.orchestrator.shown == {}


async def test_a_clone_is_the_cloners_own_starts_disabled_and_finds_a_name(cast: Cast) -> None:
    job = await made(cast, schedule="0 * * * *", tags=["etl"])
    first = await cast.maya.post(f"/jobs/{job['job_id']}/clone")
    copy = first.json()
    assert (first.status_code, copy["name"], copy["status"]) == (201, "Hello (copy)", "disabled")
    assert first.headers["location"].endswith(copy["job_id"])
    assert (copy["schedule"], copy["tags"], copy["version"]) == ("0 * * * *", ["etl"], 1)
    assert (await cast.maya.post(f"/jobs/{job['job_id']}/clone")).json()["name"] == "Hello (copy) 2"
    named = await cast.admin.post(f"/jobs/{job['job_id']}/clone", {"name": "Mine", "status": "active"})
    assert (named.json()["name"], named.json()["owner"], named.json()["status"]) == (
        "Mine",
        "admin@example.com",
        "active",
    )
    assert (await cast.maya.post(f"/jobs/{job['job_id']}/clone", {"name": ""})).status_code == 400
    assert (await cast.maya.post(f"/jobs/{job['job_id']}/clone", {"nmae": "x"})).status_code == 400


async def test_a_list_holds_what_one_may_see(cast: Cast) -> None:
    for who in ("maya", "nadia", "rajesh"):
        await made(cast, who, name=f"Of {who}")
    names = {
        who: [job["name"] for job in (await cast.named(who).get("/jobs")).json()["items"]]
        for who in ("admin", "maya", "nadia", "rajesh", "chris")
    }
    assert names == {
        "admin": ["Of maya", "Of nadia", "Of rajesh"],
        "maya": ["Of maya"],
        "nadia": ["Of nadia"],
        "rajesh": ["Of rajesh"],
        "chris": ["Of maya", "Of nadia"],
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Alpha", "beta", "Gamma 100%"]),
        ("sort=-name", ["Gamma 100%", "beta", "Alpha"]),
        ("sort=created_at", ["beta", "Alpha", "Gamma 100%"]),
        ("status=disabled", ["beta"]),
        ("type=shell", ["beta"]),
        ("type=bash", ["beta"]),
        ("owner=MAYA@example.com", ["Alpha", "beta"]),
        ("owner=me", []),
        ("team=data-engineering", ["Gamma 100%"]),
        ("tag=etl", ["Alpha", "Gamma 100%"]),
        ("tag=etl&tag=nightly", ["Alpha"]),
        ("q=PHA", ["Alpha"]),
        ("q=warehouse", ["beta"]),
        ("q=night", ["Alpha"]),
        ("q=0%25", ["Gamma 100%"]),
        ("q=%25", ["Gamma 100%"]),
        ("q=_", []),
        ("last_status=failed", ["beta"]),
        ("last_status=queued", []),
    ],
)
async def test_a_list_can_be_filtered_and_sorted(cast: Cast, query: str, names: list[str]) -> None:
    beta = await made(cast, name="beta", type="shell", description="Fills the warehouse", status="disabled")
    await made(cast, name="Alpha", tags=["etl", "nightly"])
    await made(cast, "rajesh", name="Gamma 100%", tags=["etl"])
    await ran(cast, beta["job_id"], status="failed", queued_at=datetime.now(UTC) - timedelta(minutes=5))
    await ran(cast, beta["job_id"], status="queued", scheduled_for=datetime.now(UTC) + timedelta(seconds=40))
    answer = await cast.admin.get(f"/jobs?{query}")
    assert [job["name"] for job in answer.json()["items"]] == names


async def ran(cast: Cast, job_id: str, **values: Any) -> None:
    """An execution as a worker would have left it."""
    now = datetime.now(UTC)
    row = {"id": uuid4(), "job_id": job_id, "job_version": 1, "pool": "local", "triggered_by": "scheduled"}
    row |= {"due_at": now, "exclusive": True}
    async with cast.engine.begin() as connection:
        await connection.execute(insert(executions).values(**row, **values))


async def test_the_last_execution_is_the_newest_that_came_to_its_time(cast: Cast) -> None:
    job = await made(cast)
    started = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    await ran(cast, job["job_id"], status="success", queued_at=started, started_at=started, ended_at=started)
    await ran(cast, job["job_id"], status="queued", scheduled_for=datetime.now(UTC) + timedelta(seconds=40))
    last = (await cast.maya.get(f"/jobs/{job['job_id']}")).json()["last_execution"]
    assert (last["status"], last["started_at"]) == ("success", "2026-05-04T10:30:00Z")


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-updated_at"])
async def test_pages_hold_every_job_once(cast: Cast, sort: str) -> None:
    for number in range(5):
        await made(cast, name=f"job {number}")
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await cast.maya.get(f"/jobs?limit=2&sort={sort}{cursor}")).json()
        seen += [job["name"] for job in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == sorted((f"job {number}" for number in range(5)), reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=W10", "sort=age", "status=gone", "colour=red", "q=%00"],
)
async def test_a_list_refuses_what_it_does_not_understand(cast: Cast, query: str) -> None:
    answer = await cast.maya.get(f"/jobs?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_every_save_is_in_the_audit_trail_with_before_and_after(cast: Cast) -> None:
    job = await made(cast, env={"DB_PASSWORD": "hunter2", "REGION": "eu"})
    await cast.maya.patch(f"/jobs/{job['job_id']}", {"timeout_minutes": 5, "env": {"DB_PASSWORD": "hunter3"}})
    async with cast.engine.connect() as connection:
        query = select(audit_log).where(audit_log.c.resource_id == job["job_id"]).order_by(audit_log.c.id)
        created, updated = (await connection.execute(query)).all()
    assert (created.action, updated.action, updated.actor_email) == ("job.created", "job.updated", "maya@example.com")
    assert updated.changes["timeout_seconds"] == {"old": 3600, "new": 300}
    assert set(updated.changes) == {"timeout_seconds", "env"}
    assert "hunter" not in str(created.changes) + str(updated.changes)
    assert str(updated.ip_address) == "127.0.0.1"
    assert updated.user_agent.startswith("python-httpx")
    assert updated.request_id
