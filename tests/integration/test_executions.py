"""What people see of executions, and how they end them."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platform_api.db.signals import PostgresSignals
from platform_api.ports.signals import Channel
from tests.cast import Actor, Cast
from tests.history import NOON, a_job, an_execution_of, audited, reported, stored


async def items(actor: Actor, path: str, **query: Any) -> list[dict[str, object]]:
    response = await actor.get(path, params=query)
    assert response.status_code == 200, response.text
    return list(response.json()["items"])


async def ids(actor: Actor, path: str = "/executions", **query: Any) -> list[str]:
    return [str(item["execution_id"]) for item in await items(actor, path, **query)]


async def test_an_execution_carries_what_the_contract_names(cast: Cast) -> None:
    job = await a_job(cast.maya, name="Nightly")
    execution = await an_execution_of(
        cast.engine,
        job,
        "failed",
        scheduled_for=NOON,
        exit_code=3,
        error_message="Exit code 3: disk is full",
        result={"rows": 7},
        worker="w1",
    )
    found = (await cast.maya.get(f"/executions/{execution}")).json()
    attempts = found.pop("attempts")
    assert found == {
        "execution_id": str(execution),
        "job_id": str(job),
        "job_name": "Nightly",
        "job_version": 1,
        "status": "failed",
        "triggered_by": "scheduled",
        "triggered_by_user": None,
        "scheduled_for": found["queued_at"],
        "queued_at": found["queued_at"],
        "started_at": found["queued_at"],
        "ended_at": found["ended_at"],
        "duration_seconds": 60.0,
        "exit_code": 3,
        "error_message": "Exit code 3: disk is full",
        "reason": None,
        "result": {"rows": 7},
        "revision": None,
        "worker": "w1",
        "prefect_flow_run_id": None,
        "retry_of": None,
        "cancel_requested": False,
    }
    assert datetime.fromisoformat(found["queued_at"]) == NOON
    assert [(a["attempt"], a["status"], a["exit_code"], a["next_attempt_at"]) for a in attempts] == [
        (1, "failed", 3, None)
    ]


class TestLists:
    """Newest first, a page at a time."""

    async def test_pages_hold_every_execution_once_even_of_the_same_moment(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        made = {str(await an_execution_of(cast.engine, job)) for _ in range(7)}
        for actor in (cast.maya, cast.admin):
            seen, cursor = [], None
            while True:
                query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
                page = (await actor.get("/executions", params=query)).json()
                seen += [item["execution_id"] for item in page["items"]]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            assert len(seen) == 7
            assert set(seen) == made

    async def test_the_newest_comes_first(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        made = [str(await an_execution_of(cast.engine, job, queued_at=NOON + timedelta(minutes=n))) for n in (1, 3, 2)]
        assert await ids(cast.maya) == [made[1], made[2], made[0]]

    async def test_a_run_claimed_ahead_of_its_tick_is_not_shown(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        soon = datetime.now(UTC) + timedelta(seconds=30)
        await an_execution_of(cast.engine, job, "queued", due_at=soon, queued_at=soon, scheduled_for=soon)
        retrying = await an_execution_of(cast.engine, job, "retrying", due_at=soon)
        assert await ids(cast.maya) == [str(retrying)]
        assert await ids(cast.admin) == [str(retrying)]
        assert await ids(cast.maya, f"/jobs/{job}/executions") == [str(retrying)]

    async def test_filters(self, cast: Cast) -> None:
        mine, other = await a_job(cast.maya), await a_job(cast.rajesh)
        failed = str(await an_execution_of(cast.engine, mine, "failed"))
        by_hand = str(await an_execution_of(cast.engine, mine, triggered_by="api", queued_at=NOON - timedelta(hours=1)))
        foreign = str(await an_execution_of(cast.engine, other, "crashed", queued_at=NOON + timedelta(hours=1)))
        expected: list[tuple[dict[str, Any], list[str]]] = [
            ({}, [foreign, failed, by_hand]),
            ({"status": "failed"}, [failed]),
            ({"status": ["failed", "crashed"]}, [foreign, failed]),
            ({"status": "failed,success"}, [failed, by_hand]),
            ({"triggered_by": "api"}, [by_hand]),
            ({"from": NOON.isoformat()}, [foreign, failed]),
            ({"to": NOON.isoformat()}, [by_hand]),
            ({"from": "2026-01-15T11:30:00", "to": "2026-01-15T12:30:00Z"}, [failed]),
            ({"job_id": str(mine)}, [failed, by_hand]),
            ({"owner": "RAJESH@example.com"}, [foreign]),
            ({"team": "devops"}, [failed, by_hand]),
            ({"team": "nobody"}, []),
        ]
        for query, wanted in expected:
            assert await ids(cast.admin, **query) == wanted, query
        assert await ids(cast.maya, f"/jobs/{mine}/executions", status="failed") == [failed]

    async def test_a_plus_sign_that_became_a_space_is_understood(self, cast: Cast) -> None:
        response = await cast.admin.get("/executions?from=2026-01-15T12:00:00+01:00")
        assert response.status_code == 200

    @pytest.mark.parametrize(
        "query",
        [
            *("status=done", "colour=red", "limit=0", "limit=201", "from=yesterday", "job_id=1", "owner=%00"),
            *("format=xml", "cursor=x", "cursor=WzEsMl0", "cursor=WyIyMDI2LTAxLTE1IiwieCJd"),
        ],
    )
    async def test_what_cannot_be_meant_is_refused(self, cast: Cast, query: str) -> None:
        response = await cast.maya.get(f"/executions?{query}")
        assert response.status_code == 400
        assert response.json()["errors"]

    async def test_the_history_of_a_deleted_job_stays(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        execution = str(await an_execution_of(cast.engine, job))
        await cast.maya.delete(f"/jobs/{job}")
        assert await ids(cast.maya, f"/jobs/{job}/executions") == [execution]
        assert await ids(cast.maya) == [execution]


class TestVisibility:
    """An execution belongs to its job: the owner, the team's viewers and admins see it; nobody else knows of it."""

    READS = ("", "/logs", "/logs?download=1", "/logs/stream")

    async def test_lists_hold_what_one_may_see(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        execution = str(await an_execution_of(cast.engine, job, "failed"))
        for path in ("/executions", "/dead-letters"):
            for name, sees in {"maya": True, "chris": True, "admin": True, "nadia": False, "rajesh": False}.items():
                assert await ids(cast.named(name), path) == ([execution] if sees else []), (path, name)

    @pytest.mark.parametrize("path", READS)
    @pytest.mark.parametrize(
        ("name", "status"),
        [("maya", 200), ("chris", 200), ("admin", 200), ("nadia", 404), ("rajesh", 404), ("stranger", 401)],
    )
    async def test_reading_one(self, cast: Cast, path: str, name: str, status: int) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya))
        response = await cast.named(name).get(f"/executions/{execution}{path}")
        assert response.status_code == status
        await close_signals(cast)

    @pytest.mark.parametrize("path", ["executions", "metrics"])
    @pytest.mark.parametrize(("name", "status"), [("chris", 200), ("nadia", 404), ("rajesh", 404), ("stranger", 401)])
    async def test_reading_a_jobs_history(self, cast: Cast, path: str, name: str, status: int) -> None:
        job = await a_job(cast.maya)
        assert (await cast.named(name).get(f"/jobs/{job}/{path}")).status_code == status

    @pytest.mark.parametrize("path", READS)
    async def test_what_is_not_yours_looks_like_what_is_not_there(self, cast: Cast, path: str) -> None:
        hidden = await an_execution_of(cast.engine, await a_job(cast.maya))
        absent = uuid.uuid4()
        answers = []
        for execution in (hidden, absent):
            response = await cast.rajesh.get(f"/executions/{execution}{path}")
            document = response.json()
            answers.append((response.status_code, document["title"], document["detail"].replace(str(execution), "")))
        assert answers[0] == answers[1]

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/jobs/{job}/run"),
            ("POST", "/executions/{execution}/cancel"),
            ("POST", "/executions/{execution}/retry"),
            ("POST", "/dead-letters/{execution}/replay"),
            ("DELETE", "/dead-letters/{execution}"),
        ],
    )
    @pytest.mark.parametrize(("name", "status"), [("chris", 403), ("nadia", 404), ("rajesh", 404), ("stranger", 401)])
    async def test_only_owner_and_admin_act(self, cast: Cast, method: str, path: str, name: str, status: int) -> None:
        job = await a_job(cast.maya)
        execution = await an_execution_of(cast.engine, job, "failed")
        response = await cast.named(name).request(method, path.format(job=job, execution=execution))
        assert response.status_code == status
        after = await stored(cast.engine, execution)
        assert (after.status, after.dealt_with_at, after.cancel_requested_at) == ("failed", None, None)
        assert await ids(cast.admin) == [str(execution)]


class TestCsv:
    """The same list for a spreadsheet."""

    async def table(self, actor: Actor, path: str) -> list[list[str]]:
        response = await actor.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/csv")
        assert "attachment" in response.headers["content-disposition"]
        return list(csv.reader(io.StringIO(response.text)))

    @pytest.mark.parametrize("path", ["/executions/export", "/executions?format=csv"])
    async def test_a_row_per_execution(self, cast: Cast, path: str) -> None:
        job = await a_job(cast.maya, name='Größe, "quoted"')
        execution = await an_execution_of(cast.engine, job, "failed", exit_code=1, error_message="=1+1")
        header, row = await self.table(cast.maya, path)
        assert dict(zip(header, row, strict=True)) == {
            "execution_id": str(execution),
            "job_id": str(job),
            "job_name": 'Größe, "quoted"',
            "status": "failed",
            "triggered_by": "scheduled",
            "scheduled_for": "",
            "started_at": "2026-01-15T12:00:00Z",
            "ended_at": "2026-01-15T12:01:00Z",
            "duration_seconds": "60.0",
            "attempts": "1",
            "exit_code": "1",
            "error_message": "'=1+1",
        }

    async def test_it_holds_more_than_a_batch_and_only_what_one_may_see(
        self, cast: Cast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("platform_api.use_cases.executions.EXPORT_BATCH", 2)
        job, foreign = await a_job(cast.maya), await a_job(cast.rajesh)
        made = [str(await an_execution_of(cast.engine, job)) for _ in range(5)]
        await an_execution_of(cast.engine, foreign)
        rows = await self.table(cast.maya, "/executions/export")
        assert sorted(row[0] for row in rows[1:]) == sorted(made)

    async def test_filters_hold_and_the_export_is_on_record(self, cast: Cast) -> None:
        await an_execution_of(cast.engine, await a_job(cast.maya))
        assert len(await self.table(cast.maya, "/executions/export?status=failed")) == 1
        (entry,) = await audited(cast.admin, action="execution.exported")
        assert entry["changes"] == {"status": {"old": None, "new": ["failed"]}}


class TestCancel:
    """What waits ends at once, what runs is asked to, what is over stays."""

    @pytest.mark.parametrize("status", ["queued", "retrying"])
    async def test_what_waits_is_cancelled_at_once(self, cast: Cast, database_url: str, status: str) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), status)
        async with (
            PostgresSignals(database_url) as signals,
            signals.subscribe(Channel.EXECUTION, str(execution)) as changed,
            signals.subscribe(Channel.WORK, "local") as work,
        ):
            assert await changed.wait(5)
            assert await work.wait(5)
            response = await cast.maya.post(f"/executions/{execution}/cancel")
            assert await changed.wait(5)
            assert await work.wait(5)
        assert response.status_code == 202
        assert response.json()["status"] == "cancelled"
        after = await stored(cast.engine, execution)
        assert (after.status, after.reason) == ("cancelled", "Cancelled by maya@example.com")
        assert after.ended_at is not None
        assert await reported(cast.engine, execution) == [("state", "Cancelled")]

    async def test_what_runs_is_left_to_its_worker(self, cast: Cast, database_url: str) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), "running")
        async with PostgresSignals(database_url) as signals, signals.subscribe(Channel.WORK, "local") as work:
            assert await work.wait(5)
            response = await cast.admin.post(f"/executions/{execution}/cancel")
            assert await work.wait(5)
        assert (response.status_code, response.json()["status"]) == (202, "running")
        await cast.maya.post(f"/executions/{execution}/cancel")
        after = await stored(cast.engine, execution)
        assert (after.status, after.cancel_requested_by) == ("running", "admin@example.com")
        assert await reported(cast.engine, execution) == []
        assert (await cast.maya.get(f"/executions/{execution}")).json()["cancel_requested"] is True

    @pytest.mark.parametrize("status", ["success", "failed", "timed_out", "cancelled", "skipped", "crashed"])
    async def test_what_is_over_stays_as_it_is(self, cast: Cast, status: str) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), status)
        assert (await cast.maya.post(f"/executions/{execution}/cancel")).status_code == 409
        assert (await stored(cast.engine, execution)).status == status

    async def test_it_is_on_record(self, cast: Cast) -> None:
        execution = await an_execution_of(cast.engine, await a_job(cast.maya), "running")
        await cast.maya.post(f"/executions/{execution}/cancel")
        (entry,) = await audited(cast.admin, action="execution.cancelled")
        assert entry["resource_id"] == str(execution)


async def close_signals(cast: Cast) -> None:
    assert isinstance(cast.services.signals, PostgresSignals)
    await cast.services.signals.close()
