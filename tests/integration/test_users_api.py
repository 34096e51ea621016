"""Accounts: who is listed, what may be changed, what leaves with somebody and what stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Text, func, insert, select

from platform_api.db.personal_data import TRACES, pseudonym
from platform_api.db.schema import api_keys, audit_log, executions, jobs, metadata, users
from platform_api.domain.jobs import JobStatus
from platform_api.use_cases import ownership
from platform_api.use_cases.authentication import Origin, identify
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.ownership import Wish
from rbac.principal import Principal
from tests.cast import Actor, Cast, hello
from tests.history import a_job, an_execution_of, audited


async def id_of(cast: Cast, who: str) -> str:
    return str((await cast.named(who).get("/users/me")).json()["id"])


async def change(cast: Cast, who: str, **wish: Any) -> Any:
    return await cast.admin.put(f"/users/{await id_of(cast, who)}", wish)


async def owner_of(cast: Cast, job_id: UUID) -> tuple[str, str, str]:
    job = (await cast.admin.get(f"/jobs/{job_id}")).json()
    return job["owner"], job["team"], job["status"]


async def test_an_administrator_lists_people_page_by_page(cast: Cast) -> None:
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await cast.admin.get("/users", params=params)).json()
        seen += [person["email"] for person in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(seen)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"role": "team_viewer"}, ["chris"]),
        ({"team": "devops"}, ["chris", "maya", "nadia"]),
        ({"q": "RAJ"}, ["rajesh"]),
        ({"q": "%"}, []),
        ({"active": "false"}, []),
        ({"has_jobs": "true"}, ["maya"]),
        ({"team": "devops", "role": "job_creator", "has_jobs": "false"}, ["nadia"]),
    ],
)
async def test_people_are_found_by_role_team_name_and_jobs(cast: Cast, params: Any, names: list[str]) -> None:
    await a_job(cast.maya)
    items = (await cast.admin.get("/users", params=params)).json()["items"]
    assert [person["email"].partition("@")[0] for person in items] == names


@pytest.mark.parametrize(
    "cursor",
    ["x", "W10", "WyJhIiwiYiJd", "WzEsMl0", "WyJhXHUwMDAwIiwgIjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMCJd"],
)
@pytest.mark.parametrize("path", ["/users", "/teams"])
async def test_a_cursor_that_is_none_is_refused(cast: Cast, path: str, cursor: str) -> None:
    assert (await cast.admin.get(path, params={"cursor": cursor})).status_code == 400


async def test_a_change_says_who_changed_what_and_grows_the_version(cast: Cast) -> None:
    maya = await id_of(cast, "maya")
    answer = await change(cast, "maya", role="team_viewer", team="data-engineering", viewer_of=["devops"])
    assert answer.status_code == 200, answer.text
    person = answer.json()
    assert (person["role"], person["team"], person["viewer_of"], person["version"]) == (
        "team_viewer",
        "data-engineering",
        ["devops"],
        2,
    )
    assert answer.headers["etag"] == '"2"'
    [entry] = await audited(cast.admin, action="user.updated")
    assert (entry["email"], entry["resource_id"]) == ("admin@example.com", maya)
    assert entry["changes"]["role"] == {"old": "job_creator", "new": "team_viewer"}
    # From the very next request on.
    assert (await cast.maya.post("/jobs", hello())).status_code == 403


async def test_an_answer_may_be_changed_and_sent_back(cast: Cast) -> None:
    path = f"/users/{await id_of(cast, 'maya')}"
    person = (await cast.admin.get(path)).json()
    answer = await cast.admin.put(path, person | {"permission_sets": ["template_admin"]})
    assert (answer.status_code, answer.json()["permission_sets"]) == (200, ["template_admin"])


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"role": "king"}, "role"),
        ({"team": "nowhere"}, "team"),
        ({"viewer_of": ["devops", "nowhere"]}, "viewer_of"),
        ({"permission_sets": ["everything"]}, "permission_sets.0"),
        ({"active": "yes"}, "active"),
        ({"email": "other@example.com"}, "email"),
        ({"name": "Other"}, "name"),
        ({"hand_over_to": "nadia@example.com"}, "hand_over_to"),
        ({"jobs": "disable"}, "jobs"),
        ({"active": False, "hand_over_to": "nobody@example.com"}, "hand_over_to"),
        ({"active": False, "hand_over_to": "chris@example.com"}, "hand_over_to"),
        ({"active": False, "hand_over_to": "maya@example.com"}, "hand_over_to"),
        ({"sudo": True}, "sudo"),
        ({"team": "a\0b"}, "team"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused_with_its_field(cast: Cast, wish: Any, field: str) -> None:
    answer = await change(cast, "maya", **wish)
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert (await cast.maya.get("/users/me")).json()["version"] == 1


@pytest.mark.parametrize("stale", [{"headers": {"If-Match": '"7"'}}, {"version": 7}])
async def test_a_change_meant_for_another_version_is_refused(cast: Cast, stale: dict[str, Any]) -> None:
    path = f"/users/{await id_of(cast, 'maya')}"
    headers = stale.pop("headers", None)
    answer = await cast.admin.put(path, {"role": "admin"} | stale, headers=headers)
    assert answer.status_code == 412
    assert (await cast.maya.get("/users/me")).json()["role"] == "job_creator"


@pytest.mark.parametrize("wish", [{"role": "job_creator"}, {"active": False}])
async def test_the_last_administrator_stays_one(cast: Cast, wish: Any) -> None:
    assert (await change(cast, "admin", **wish)).status_code == 409
    assert (await cast.admin.delete(f"/users/{await id_of(cast, 'admin')}")).status_code == 409
    await change(cast, "maya", role="admin")
    assert (await change(cast, "admin", **wish)).status_code == 200


async def test_of_two_administrators_who_demote_each_other_one_stays(cast: Cast) -> None:
    await change(cast, "maya", role="admin")
    admin, maya = await id_of(cast, "admin"), await id_of(cast, "maya")
    for _ in range(5):
        answers = await asyncio.gather(
            cast.admin.put(f"/users/{maya}", {"role": "job_creator"}),
            cast.maya.put(f"/users/{admin}", {"role": "job_creator"}),
        )
        assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 404], [200, 409])
        async with cast.engine.begin() as connection:
            query = select(func.count()).where(users.c.role == "admin", users.c.is_active)
            assert (await connection.execute(query)).scalar_one() == 1
            await connection.execute(users.update().where(users.c.id.in_([admin, maya])).values(role="admin"))


async def test_credentials_of_the_deactivated_stop_at_once_and_their_jobs_go_on(cast: Cast) -> None:
    job = await a_job(cast.maya, schedule="0 * * * *")
    assert (await change(cast, "maya", active=False)).status_code == 200
    refused = await cast.maya.get("/users/me")
    assert (refused.status_code, "not active" in refused.json()["detail"]) == (401, True)
    assert await owner_of(cast, job) == ("maya@example.com", "devops", "active")
    left = (await cast.admin.get("/users", params={"active": "false", "has_jobs": "true"})).json()["items"]
    assert [(person["email"], person["job_count"]) for person in left] == [("maya@example.com", 1)]


@pytest.mark.parametrize(
    ("wish", "place"),
    [
        ({"jobs": "disable"}, ("maya@example.com", "devops", "disabled")),
        ({"hand_over_to": "nadia@example.com"}, ("nadia@example.com", "devops", "active")),
        ({"hand_over_to": "RAJESH@example.com"}, ("rajesh@example.com", "data-engineering", "active")),
    ],
)
async def test_jobs_of_the_deactivated_follow_the_administrators_word(cast: Cast, wish: Any, place: Any) -> None:
    job = await a_job(cast.maya, schedule="0 * * * *")
    assert (await change(cast, "maya", active=False, **wish)).status_code == 200
    assert await owner_of(cast, job) == place


async def test_who_comes_back_has_what_was_theirs(cast: Cast) -> None:
    job = await a_job(cast.maya)
    maya = await id_of(cast, "maya")
    await cast.admin.put(f"/users/{maya}", {"active": False})
    await cast.admin.put(f"/users/{maya}", {"active": True})
    assert (await cast.maya.get(f"/jobs/{job}")).status_code == 200


async def test_an_export_holds_everything_and_opens_nothing(cast: Cast) -> None:
    job = await a_job(cast.maya)
    run = (await cast.maya.post(f"/jobs/{job}/run", headers={"Idempotency-Key": "mine"})).json()["execution_id"]
    await cast.maya.post(f"/executions/{run}/cancel")
    answer = await cast.maya.get(f"/users/{await id_of(cast, 'maya')}/export")
    document = answer.json()
    assert document["account"][0]["email"] == "maya@example.com"
    assert {row["id"] for row in document["jobs"]} == {str(job)}
    assert {row["id"] for row in document["executions_started"]} == {run}
    assert {row["id"] for row in document["executions_cancelled"]} == {run}
    assert [row["key"] for row in document["repeated_requests"]] == ["mine"]
    assert {"job.created", "job.run", "user.exported"} <= {row["action"] for row in document["audit_log"]}
    [key] = document["api_keys"]
    assert key["name"] == "sample"
    assert "key_hash" not in key
    assert cast.maya.key is not None
    assert cast.maya.key not in answer.text


async def test_erasure_leaves_a_number_where_a_name_was(cast: Cast) -> None:
    job = await a_job(cast.maya)
    run = (await cast.maya.post(f"/jobs/{job}/run")).json()["execution_id"]
    await cast.maya.post(f"/executions/{run}/cancel")
    await change(cast, "maya", viewer_of=["platform"])
    maya = await id_of(cast, "maya")
    answer = await cast.admin.delete(f"/users/{maya}", params={"hand_over_to": "nadia@example.com"})
    assert answer.status_code == 204, answer.text
    assert await owner_of(cast, job) == ("nadia@example.com", "devops", "active")
    assert (await cast.maya.get("/users/me")).status_code == 401
    assert (await cast.admin.get(f"/users/{maya}")).status_code == 404
    execution = (await cast.admin.get(f"/executions/{run}")).json()
    assert execution["triggered_by_user"] == pseudonym(UUID(maya))
    assert await everywhere(cast, "maya@example.com") == set()


async def everywhere(cast: Cast, word: str) -> set[str]:
    """The tables in which a word occurs anywhere."""
    found = set()
    async with cast.engine.connect() as connection:
        for table in metadata.sorted_tables:
            row = table.table_valued().cast(Text)
            if (await connection.execute(select(row).where(row.contains(word)).limit(1))).one_or_none():
                found.add(table.name)
    return found


async def test_without_an_heir_the_jobs_of_the_erased_are_deleted(cast: Cast) -> None:
    job = await a_job(cast.maya)
    done = await an_execution_of(cast.engine, job)
    assert (await cast.admin.delete(f"/users/{await id_of(cast, 'maya')}")).status_code == 204
    assert (await cast.admin.get(f"/jobs/{job}")).status_code == 404
    assert (await cast.admin.get(f"/executions/{done}")).status_code == 200


async def test_one_may_erase_oneself_but_nobody_else(cast: Cast) -> None:
    maya = await id_of(cast, "maya")
    for other in (cast.nadia, cast.chris, cast.rajesh):
        assert (await other.delete(f"/users/{maya}")).status_code == 404
        assert (await other.get(f"/users/{maya}/export")).status_code == 404
    assert (await cast.maya.delete(f"/users/{maya}")).status_code == 204
    assert (await cast.maya.get("/users/me")).status_code == 401
    assert "maya" not in str(await rows_of_the_trail(cast, maya))


async def rows_of_the_trail(cast: Cast, user_id: str) -> Any:
    async with cast.engine.connect() as connection:
        return (await connection.execute(select(audit_log).where(audit_log.c.actor_id == user_id))).all()


async def test_an_heir_of_another_team_is_the_administrators_to_choose(cast: Cast) -> None:
    await a_job(cast.maya)
    maya = await id_of(cast, "maya")
    unknown = await cast.maya.delete(f"/users/{maya}", params={"hand_over_to": "nobody@example.com"})
    foreign = await cast.maya.delete(f"/users/{maya}", params={"hand_over_to": "rajesh@example.com"})
    assert (unknown.status_code, foreign.status_code) == (400, 400)
    assert unknown.json()["errors"] == foreign.json()["errors"]
    assert (await cast.maya.get("/users/me")).status_code == 200


def test_every_column_that_refers_to_a_person_is_exported_and_has_a_fate() -> None:
    known = {(trace.table.name, trace.column.name) for trace in TRACES}
    referring = {
        (table.name, key.parent.name)
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table is users
    }
    assert referring == known


async def test_a_second_account_of_the_same_address_is_possible_after_an_erasure(cast: Cast) -> None:
    maya = await id_of(cast, "maya")
    await cast.admin.delete(f"/users/{maya}")
    async with cast.engine.begin() as connection:
        team = (await connection.execute(select(users.c.team_id).limit(1))).scalar_one()
        row = {"id": UUID(int=1), "email": "maya@example.com", "display_name": "Maya", "role": "job_creator"}
        await connection.execute(insert(users).values(**row, team_id=team))
        left = await connection.execute(select(func.count()).select_from(api_keys).where(api_keys.c.user_id == maya))
        assert left.scalar_one() == 0


def hand_over(actor: Actor, job: UUID, **wish: Any) -> Any:
    return actor.patch(f"/jobs/{job}", wish)


async def test_an_owner_gives_a_job_to_a_mate_and_sees_it_no_more(cast: Cast) -> None:
    job = await a_job(cast.maya)
    answer = await hand_over(cast.maya, job, owner="Nadia@example.com")
    assert (answer.status_code, answer.json()["owner"]) == (200, "nadia@example.com")
    assert (await cast.maya.get(f"/jobs/{job}")).status_code == 404
    assert (await cast.nadia.patch(f"/jobs/{job}", {"tags": ["mine"]})).status_code == 200
    [entry] = await audited(cast.admin, action="job.handed_over")
    assert entry["changes"]["owner_id"]["new"] == await id_of(cast, "nadia")


@pytest.mark.parametrize(
    ("who", "wish", "status"),
    [
        ("maya", {"owner": "nobody@example.com"}, 400),
        ("maya", {"owner": "rajesh@example.com"}, 400),
        ("maya", {"owner": "chris@example.com"}, 400),
        ("maya", {"team": "data-engineering"}, 400),
        ("maya", {"team": "nowhere"}, 400),
        ("maya", {"owner": "nadia@example.com", "team": "data-engineering"}, 400),
        ("maya", {"owner": 5}, 400),
        ("maya", {"owner": "maya@example.com", "team": "devops"}, 200),
        ("nadia", {"owner": "nadia@example.com"}, 404),
        ("rajesh", {"owner": "rajesh@example.com"}, 404),
        ("chris", {"owner": "nadia@example.com"}, 403),
        ("stranger", {"owner": "nadia@example.com"}, 401),
        ("admin", {"owner": "chris@example.com"}, 400),
        ("admin", {"team": "nowhere"}, 400),
        ("admin", {"owner": "rajesh@example.com"}, 200),
        ("admin", {"team": "data-engineering"}, 200),
        ("admin", {"owner": "rajesh@example.com", "team": "devops"}, 200),
    ],
)
async def test_who_may_give_a_job_to_whom(cast: Cast, who: str, wish: Any, status: int) -> None:
    job = await a_job(cast.maya)
    before = await owner_of(cast, job)
    answer = await hand_over(cast.named(who), job, **wish)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert await owner_of(cast, job) == before


async def test_a_job_that_uses_secrets_stops_until_its_new_owner_has_looked(cast: Cast) -> None:
    job = await a_job(cast.maya)
    async with cast.engine.begin() as connection:
        await connection.execute(jobs.update().values(spec=jobs.c.spec.concat({"secrets": {"PASSWORD": "warehouse"}})))
    principals = [await principal(cast, who) for who in ("maya", "admin")]
    for who, status in zip(principals, ("disabled", "active"), strict=True):
        async with cast.services.uow() as uow:
            stored = await uow.jobs.get(job, lock=True)
            assert stored is not None
            caller = Caller(who, "a test")
            given = await ownership.hand_over(uow, cast.services, caller, stored, Wish("nadia@example.com"))
            assert (given.owner, given.status.value) == ("nadia@example.com", status)
            back = replace(given, status=JobStatus.DISABLED)
            await uow.jobs.set_status(back, JobStatus.ACTIVE)
            await uow.jobs.hand_over(given, stored.owner_id, stored.team_id)


async def principal(cast: Cast, who: str) -> Principal:
    key = cast.named(who).key or ""
    return await identify(cast.services, key, Origin("a test", None, None))


async def test_a_job_cannot_come_into_a_team_that_has_its_name_already(cast: Cast) -> None:
    await cast.rajesh.post("/jobs", hello())
    job = (await cast.maya.post("/jobs", hello())).json()["job_id"]
    assert (await hand_over(cast.admin, job, owner="rajesh@example.com")).status_code == 409
    assert (await owner_of(cast, job))[0] == "maya@example.com"


async def test_whose_a_job_is_and_what_it_says_change_together(cast: Cast) -> None:
    job = await a_job(cast.maya)
    refused = await hand_over(cast.maya, job, owner="nadia@example.com", schedule="nonsense")
    assert (refused.status_code, await owner_of(cast, job)) == (400, ("maya@example.com", "devops", "active"))
    both = await hand_over(cast.maya, job, owner="nadia@example.com", tags=["new"], status="disabled")
    assert (both.json()["owner"], both.json()["tags"], both.json()["status"]) == (
        "nadia@example.com",
        ["new"],
        "disabled",
    )


async def test_executions_follow_their_job_to_its_new_owner(cast: Cast) -> None:
    job = await a_job(cast.maya)
    done = await an_execution_of(cast.engine, job)
    await hand_over(cast.maya, job, owner="nadia@example.com")
    assert (await cast.nadia.get(f"/executions/{done}")).status_code == 200
    assert (await cast.maya.get(f"/executions/{done}")).status_code == 404
    async with cast.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(executions))).scalar_one() == 1
