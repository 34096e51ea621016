"""The versions of a job over REST."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from platform_api.db.schema import audit_log
from tests.cast import Cast, hello


async def edited(cast: Cast) -> str:
    """A job with three versions."""
    job_id = str((await cast.maya.post("/jobs", hello(script="a\nb\nc"))).json()["job_id"])
    await cast.maya.patch(f"/jobs/{job_id}", {"script": "a\nx\nc", "retry_policy": {"max_retries": 2}})
    await cast.admin.patch(f"/jobs/{job_id}", {"name": "Renamed", "tags": ["etl"]})
    return job_id


async def test_every_save_is_a_version_with_author_and_content(cast: Cast) -> None:
    job_id = await edited(cast)
    versions = (await cast.maya.get(f"/jobs/{job_id}/versions")).json()["items"]
    assert [(v["version"], v["author"], v["change"]) for v in versions] == [
        (3, "admin@example.com", "edited"),
        (2, "maya@example.com", "edited"),
        (1, "maya@example.com", "created"),
    ]
    assert [v["job"]["name"] for v in versions] == ["Renamed", "Hello", "Hello"]
    assert (await cast.maya.get(f"/jobs/{job_id}/versions/2")).json() == versions[1]


async def test_versions_come_in_pages(cast: Cast) -> None:
    job_id = await edited(cast)
    first = (await cast.maya.get(f"/jobs/{job_id}/versions?limit=2")).json()
    second = (await cast.maya.get(f"/jobs/{job_id}/versions?limit=2&cursor={first['next_cursor']}")).json()
    assert [v["version"] for v in first["items"] + second["items"]] == [3, 2, 1]
    assert second["next_cursor"] is None


async def test_a_diff_is_field_by_field_and_line_by_line(cast: Cast) -> None:
    job_id = await edited(cast)
    found = (await cast.maya.get(f"/jobs/{job_id}/versions/1/diff/2")).json()
    assert (found["from"], found["to"]) == (1, 2)
    assert {change["field"]: (change["old"], change["new"]) for change in found["fields"]} == {
        "script": ("a\nb\nc", "a\nx\nc"),
        "retry_policy.max_retries": (0, 2),
    }
    assert [line["op"] + line["text"] for line in found["script"]] == [" a", "-b", "+x", " c"]
    assert (await cast.maya.get(f"/jobs/{job_id}/versions/2/diff/3")).json()["script"] == []
    backwards = (await cast.maya.get(f"/jobs/{job_id}/versions/2/diff/1")).json()["fields"]
    assert ("x" in backwards[0]["old"], "b" in backwards[0]["new"]) == (True, True)


async def test_a_rollback_makes_a_new_version_that_says_what_the_old_one_said(cast: Cast) -> None:
    job_id = await edited(cast)
    answer = await cast.maya.post(f"/jobs/{job_id}/rollback", {"version": 1})
    assert (answer.status_code, answer.json()["version"], answer.json()["name"]) == (200, 4, "Hello")
    newest = (await cast.maya.get(f"/jobs/{job_id}/versions/4")).json()
    assert newest["change"] == "rolled back to version 1"
    assert newest["job"] == (await cast.maya.get(f"/jobs/{job_id}/versions/1")).json()["job"]
    assert cast.orchestrator.applied[-1].spec.script == "a\nb\nc"
    async with cast.engine.connect() as connection:
        query = select(audit_log).where(audit_log.c.action == "job.rolled_back")
        entry = (await connection.execute(query)).one()
    assert entry.changes["name"] == {"old": "Renamed", "new": "Hello"}
    assert entry.reason == "rolled back to version 1"


async def test_a_rollback_to_a_name_that_is_taken_meanwhile_is_refused(cast: Cast) -> None:
    job_id = await edited(cast)
    await cast.nadia.post("/jobs", hello())
    assert (await cast.maya.post(f"/jobs/{job_id}/rollback", {"version": 1})).status_code == 409
    assert (await cast.maya.get(f"/jobs/{job_id}")).json()["version"] == 3


async def test_a_rollback_for_an_older_state_is_refused(cast: Cast) -> None:
    job_id = await edited(cast)
    headers = {"If-Match": '"1-1"'}
    assert (await cast.maya.post(f"/jobs/{job_id}/rollback", {"version": 1}, headers=headers)).status_code == 412


@pytest.mark.parametrize("body", [{"version": 0}, {"version": 9}, {"version": 10**12}, {"version": -1}])
async def test_a_version_that_is_not_there_is_a_404(cast: Cast, body: dict[str, Any]) -> None:
    job_id = await edited(cast)
    assert (await cast.maya.post(f"/jobs/{job_id}/rollback", body)).status_code == 404
    assert (await cast.maya.get(f"/jobs/{job_id}/versions/{body['version']}")).status_code == 404


@pytest.mark.parametrize("body", [{}, {"version": "1"}, {"version": 1, "x": 2}])
async def test_a_rollback_that_names_no_version_is_a_400(cast: Cast, body: dict[str, Any]) -> None:
    job_id = await edited(cast)
    assert (await cast.maya.post(f"/jobs/{job_id}/rollback", body)).status_code == 400


async def test_versions_count_without_a_gap_when_many_save_at_once(cast: Cast) -> None:
    job_id = (await cast.maya.post("/jobs", hello())).json()["job_id"]
    answers = await asyncio.gather(*(cast.maya.patch(f"/jobs/{job_id}", {"description": f"by {n}"}) for n in range(6)))
    assert sorted(answer.json()["version"] for answer in answers)[-1] == 7
    versions = (await cast.maya.get(f"/jobs/{job_id}/versions")).json()["items"]
    assert [v["version"] for v in versions] == [7, 6, 5, 4, 3, 2, 1]
