"""Teams: made, renamed, and deleted only when nothing belongs to them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cast import Cast
from tests.history import a_job, audited


async def team(cast: Cast, name: str) -> dict[str, Any]:
    items: list[dict[str, Any]] = (await cast.admin.get("/teams")).json()["items"]
    return next(item for item in items if item["name"] == name)


async def test_teams_are_listed_with_how_much_is_in_them(cast: Cast) -> None:
    await a_job(cast.maya)
    items = (await cast.admin.get("/teams")).json()["items"]
    assert [(item["name"], item["members"], item["jobs"]) for item in items] == [
        ("data-engineering", 1, 0),
        ("devops", 3, 1),
        ("platform", 1, 0),
    ]


async def test_a_team_is_made_renamed_and_deleted(cast: Cast) -> None:
    made = await cast.admin.post("/teams", {"name": "Système"})
    assert made.status_code == 201
    address = made.headers["location"].removeprefix("/api/v1")
    assert (await cast.admin.get(address)).json()["members"] == 0
    renamed = await cast.admin.put(address, made.json() | {"name": "Systems"})
    assert (renamed.status_code, renamed.json()["version"]) == (200, 2)
    assert (await cast.admin.put(address, {"name": "x"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await cast.admin.delete(address, headers={"If-Match": '"1"'})).status_code == 412
    assert (await cast.admin.delete(address)).status_code == 204
    assert (await cast.admin.get(address)).status_code == 404
    actions = [entry["action"] for entry in await audited(cast.admin, resource_type="team")]
    assert actions == ["team.deleted", "team.updated", "team.created"]


@pytest.mark.parametrize("name", ["", " x", "x" * 101, "a\nb", "a\0b", 5, None])
async def test_a_name_that_nobody_could_type_is_refused(cast: Cast, name: Any) -> None:
    assert (await cast.admin.post("/teams", {"name": name})).status_code == 400


@pytest.mark.parametrize("name", ["devops", "DevOps"])
async def test_a_name_is_taken_once(cast: Cast, name: str) -> None:
    assert (await cast.admin.post("/teams", {"name": name})).status_code == 409
    other = await team(cast, "platform")
    assert (await cast.admin.put(f"/teams/{other['id']}", {"name": name})).status_code == 409


async def test_a_team_with_people_jobs_or_history_is_not_deleted(cast: Cast) -> None:
    data = await team(cast, "data-engineering")
    job = await a_job(cast.rajesh)
    refused = await cast.admin.delete(f"/teams/{data['id']}")
    assert (refused.status_code, "1 members, 1 jobs" in refused.json()["detail"]) == (409, True)
    rajesh = (await cast.rajesh.get("/users/me")).json()["id"]
    await cast.admin.put(f"/users/{rajesh}", {"team": "devops"})
    await cast.rajesh.delete(f"/jobs/{job}")
    refused = await cast.admin.delete(f"/teams/{data['id']}")
    assert (refused.status_code, "1 deleted jobs" in refused.json()["detail"]) == (409, True)


async def test_a_team_of_nobody_but_the_erased_can_be_deleted(cast: Cast) -> None:
    data = await team(cast, "data-engineering")
    rajesh = (await cast.rajesh.get("/users/me")).json()["id"]
    assert (await cast.admin.delete(f"/users/{rajesh}")).status_code == 204
    assert (await cast.admin.delete(f"/teams/{data['id']}")).status_code == 204


async def test_jobs_stay_in_their_team_when_their_owner_leaves_it_and_can_be_taken_along(cast: Cast) -> None:
    job = await a_job(cast.maya)
    maya = (await cast.maya.get("/users/me")).json()["id"]
    await cast.admin.put(f"/users/{maya}", {"team": "data-engineering"})
    assert (await cast.maya.get(f"/jobs/{job}")).json()["team"] == "devops"
    assert (await cast.chris.get(f"/jobs/{job}")).status_code == 200
    moved = await cast.maya.patch(f"/jobs/{job}", {"team": "data-engineering"})
    assert (moved.status_code, moved.json()["team"]) == (200, "data-engineering")
    assert (await cast.chris.get(f"/jobs/{job}")).status_code == 404


async def test_who_may_look_at_a_further_team_sees_its_jobs_in_lists_too(cast: Cast) -> None:
    job = await a_job(cast.maya)
    rajesh = (await cast.rajesh.get("/users/me")).json()["id"]
    assert (await cast.rajesh.get("/jobs")).json()["items"] == []
    await cast.admin.put(f"/users/{rajesh}", {"viewer_of": ["devops"]})
    assert [item["job_id"] for item in (await cast.rajesh.get("/jobs")).json()["items"]] == [str(job)]
    assert (await cast.rajesh.post(f"/jobs/{job}/run")).status_code == 403
    assert (await cast.rajesh.get("/dashboard")).json()["total_jobs"] == 1
