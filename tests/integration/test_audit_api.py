"""The audit trail as administrators read it."""

from __future__ import annotations

import csv
import io

import pytest

from tests.cast import Cast, hello


async def history(cast: Cast) -> str:
    """Something to look at: a creation, a change, a denial."""
    job_id = str((await cast.maya.post("/jobs", hello())).json()["job_id"])
    await cast.maya.patch(f"/jobs/{job_id}", {"tags": ["etl"]})
    await cast.rajesh.delete(f"/jobs/{job_id}")
    return job_id


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("resource_id={id}", ["access.denied", "job.updated", "job.created"]),
        ("resource_id={id}&user=MAYA@example.com", ["job.updated", "job.created"]),
        ("action=job.updated", ["job.updated"]),
        ("outcome=denied", ["access.denied"]),
        ("resource_type=job&from=2000-01-01T00:00:00Z", ["access.denied", "job.updated", "job.created"]),
        ("resource_type=job&to=2000-01-01T00:00:00Z", []),
        ("resource_type=job&from=2999-01-01T00:00:00Z", []),
    ],
)
async def test_the_trail_can_be_filtered(cast: Cast, query: str, actions: list[str]) -> None:
    job_id = await history(cast)
    answer = await cast.admin.get(f"/audit-logs?{query.replace('{id}', job_id)}")
    assert [entry["action"] for entry in answer.json()["items"]] == actions


@pytest.mark.parametrize(
    "query", ["action=job.exploded", "outcome=maybe", "from=yesterday", "who=me", "user=%00", "cursor=W10"]
)
async def test_a_filter_that_is_none_is_refused(cast: Cast, query: str) -> None:
    assert (await cast.admin.get(f"/audit-logs?{query}")).status_code == 400


async def test_the_trail_comes_in_pages_newest_first(cast: Cast) -> None:
    await history(cast)
    seen: list[int] = []
    cursor = ""
    while True:
        page = (await cast.admin.get(f"/audit-logs?limit=4{cursor}")).json()
        seen += [entry["id"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 13


async def test_the_trail_as_csv_holds_every_entry_and_no_formula(cast: Cast) -> None:
    await cast.maya.post("/jobs", hello(name="=cmd()"))
    answer = await cast.admin.get("/audit-logs?format=csv&resource_type=job")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    [row] = list(csv.DictReader(io.StringIO(answer.text)))
    assert (row["action"], row["resource_name"]) == ("job.created", "'=cmd()")
    exported = (await cast.admin.get("/audit-logs?action=audit.exported")).json()["items"]
    assert [entry["email"] for entry in exported] == ["admin@example.com"]
