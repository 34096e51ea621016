"""The pages of users and teams: for administrators, and everybody's own account."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cast import Cast
from tests.desks import get_page, send_form
from tests.history import a_job

NOT_ADMINS = ("maya", "rajesh", "chris")


async def id_of(cast: Cast, who: str) -> str:
    return str((await cast.named(who).get("/users/me")).json()["id"])


async def account(cast: Cast, who: str, **changed: Any) -> dict[str, Any]:
    person = (await cast.named(who).get("/users/me")).json()
    form = {"role": person["role"], "team": person["team"], "active": "true", "version": person["version"]}
    return {name: value for name, value in (form | changed).items() if value is not None}


@pytest.mark.parametrize("path", ["/users", "/teams"])
@pytest.mark.parametrize(("name", "status"), [("admin", 200), *((name, 403) for name in NOT_ADMINS)])
async def test_people_and_teams_are_for_administrators(cast: Cast, name: str, path: str, status: int) -> None:
    assert (await get_page(cast, name, path)).status_code == status


async def test_people_are_found_by_name_role_and_team(cast: Cast) -> None:
    for query, found in (("q=raj", "rajesh@"), ("role=team_viewer", "chris@"), ("state=yes", "maya@")):
        assert found in (await get_page(cast, "admin", f"/users?{query}")).text
    assert "Nobody matches" in (await get_page(cast, "admin", "/users?q=zebra")).text


@pytest.mark.parametrize("name", NOT_ADMINS)
async def test_everybody_sees_their_own_account_and_nobody_elses(cast: Cast, name: str) -> None:
    own = await get_page(cast, name, f"/users/{await id_of(cast, name)}")
    assert own.status_code == 200
    assert "The account is active" not in own.text
    assert (await get_page(cast, name, f"/users/{await id_of(cast, 'admin')}")).status_code == 404


async def test_an_administrator_changes_a_role(cast: Cast) -> None:
    chris = await id_of(cast, "chris")
    form = await account(cast, "chris", role="job_creator")
    assert (await send_form(cast, "admin", f"/users/{chris}", form)).status_code == 303
    assert (await cast.chris.get("/users/me")).json()["role"] == "job_creator"


@pytest.mark.parametrize("name", NOT_ADMINS)
async def test_nobody_makes_themselves_an_administrator(cast: Cast, name: str) -> None:
    form = await account(cast, name, role="admin")
    assert (await send_form(cast, name, f"/users/{await id_of(cast, name)}", form)).status_code == 403


async def test_the_last_administrator_stays_one_and_is_told_why(cast: Cast) -> None:
    form = await account(cast, "admin", role="job_creator")
    answer = await send_form(cast, "admin", f"/users/{await id_of(cast, 'admin')}", form)
    assert answer.status_code == 400
    assert "last active administrator" in answer.text


async def test_a_person_who_leaves_hands_over_their_jobs(cast: Cast) -> None:
    job = await a_job(cast.maya)
    form = await account(cast, "maya", active=None, jobs="heir", hand_over_to=cast.nadia.email)
    assert (await send_form(cast, "admin", f"/users/{await id_of(cast, 'maya')}", form)).status_code == 303
    assert (await cast.admin.get(f"/jobs/{job}")).json()["owner"] == cast.nadia.email


async def test_an_heir_who_is_not_named_is_asked_for(cast: Cast) -> None:
    await a_job(cast.maya)
    form = await account(cast, "maya", active=None, jobs="heir")
    answer = await send_form(cast, "admin", f"/users/{await id_of(cast, 'maya')}", form)
    assert answer.status_code == 400
    assert 'id="hand_over_to-fault"' in answer.text


async def test_nobody_is_erased_by_a_slip(cast: Cast) -> None:
    rajesh = await id_of(cast, "rajesh")
    await send_form(cast, "admin", f"/users/{rajesh}/erase", {"typed": cast.maya.email})
    assert (await cast.rajesh.get("/users/me")).status_code == 200
    await send_form(cast, "admin", f"/users/{rajesh}/erase", {"typed": cast.rajesh.email})
    assert (await cast.rajesh.get("/users/me")).status_code == 401


@pytest.mark.parametrize("name", NOT_ADMINS)
async def test_nobody_erases_or_exports_somebody_else(cast: Cast, name: str) -> None:
    admin = await id_of(cast, "admin")
    answer = await send_form(cast, name, f"/users/{admin}/erase", {"typed": cast.admin.email})
    assert answer.status_code == 404
    assert (await get_page(cast, name, f"/users/{admin}/export")).status_code == 404


async def test_teams_are_made_renamed_and_deleted(cast: Cast) -> None:
    assert (await send_form(cast, "admin", "/teams", {"name": "Storage"})).status_code == 303
    team = next(t for t in (await cast.admin.get("/teams")).json()["items"] if t["name"] == "Storage")
    form = {"name": "Disks", "version": team["version"]}
    assert (await send_form(cast, "admin", f"/teams/{team['id']}/rename", form)).status_code == 303
    assert "Disks" in (await get_page(cast, "admin", "/teams")).text
    assert (await send_form(cast, "admin", f"/teams/{team['id']}/rename", form)).status_code == 412
    assert (await send_form(cast, "admin", f"/teams/{team['id']}/delete")).status_code == 303


@pytest.mark.parametrize(("name", "status"), [("", 400), ("x" * 101, 400)])
async def test_a_name_that_no_team_can_have_is_told_beside_the_field(cast: Cast, name: str, status: int) -> None:
    answer = await send_form(cast, "admin", "/teams", {"name": name})
    assert answer.status_code == status
    assert 'id="name-fault"' in answer.text


async def test_a_team_with_people_in_it_stays(cast: Cast) -> None:
    team = next(t for t in (await cast.admin.get("/teams")).json()["items"] if t["members"])
    assert (await send_form(cast, "admin", f"/teams/{team['id']}/delete")).status_code == 409


@pytest.mark.parametrize("name", NOT_ADMINS)
async def test_only_administrators_change_teams(cast: Cast, name: str) -> None:
    team = (await cast.admin.get("/teams")).json()["items"][0]["id"]
    assert (await send_form(cast, name, "/teams", {"name": "Mine"})).status_code == 403
    assert (await send_form(cast, name, f"/teams/{team}/rename", {"name": "Mine"})).status_code == 403
    assert (await send_form(cast, name, f"/teams/{team}/delete")).status_code == 403
