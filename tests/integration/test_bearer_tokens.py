"""`Authorization: Bearer` at the API: who gets in, whose account is made, and what stays in the trail."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import audit_log, identities, teams, users
from rbac.principal import Role
from rbac.role_map import Mapped
from tests.cast import Cast, assemble_cast, services_on, settings_for_tests
from tests.identity_provider import TestProvider, asking, claims_of

ROLE_MAP = {
    "Jobs.Admin": Mapped(Role.ADMIN, "platform"),
    "Jobs.Creator": Mapped(Role.JOB_CREATOR, "newcomers"),
    "Jobs.Viewer": Mapped(Role.TEAM_VIEWER, "devops"),
}


class Door:
    """The API with a provider behind it."""

    def __init__(self, cast: Cast, provider: TestProvider) -> None:
        self.cast = cast
        self.provider = provider
        self.client: AsyncClient = cast.maya.client

    async def knock(self, path: str = "/users/me", key: str = "first", **claims: Any) -> Response:
        token = self.provider.sign(claims_of(**claims), key)
        return await self.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})

    async def entries(self, action: str) -> list[Any]:
        async with self.cast.engine.connect() as connection:
            query = select(audit_log).where(audit_log.c.action == action).order_by(audit_log.c.id)
            # The sample users' own entries have no address.
            return [row for row in await connection.execute(query) if row.request_id is not None]


@pytest.fixture
async def door(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Door]:
    provider = TestProvider()
    settings = settings_for_tests(home=tmp_path, oidc_role_map=ROLE_MAP)
    services = services_on(engine, settings)
    identity = asking(provider, services.clock)
    cast = await assemble_cast(engine, services_on(engine, settings, identity=identity))
    yield Door(cast, provider)
    await identity.close()
    await cast.maya.client.aclose()


async def test_the_first_token_makes_the_account_and_its_team(door: Door) -> None:
    me = (await door.knock(email="mira@example.com")).json()
    assert (me["email"], me["name"], me["role"], me["team"]) == (
        "mira@example.com",
        "Mira",
        "job_creator",
        "newcomers",
    )
    (team,) = await door.entries("team.created")
    (user,) = await door.entries("user.created")
    assert (team.resource_name, user.resource_name, user.actor_email) == ("newcomers", *["mira@example.com"] * 2)


async def test_a_second_token_is_the_same_person(door: Door) -> None:
    first = (await door.knock()).json()["id"]
    assert (await door.knock()).json()["id"] == first
    assert len(await door.entries("user.created")) == 1


async def test_twenty_first_tokens_at_once_make_one_account(door: Door) -> None:
    import asyncio

    answers = await asyncio.gather(*(door.knock() for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_person_whose_address_changes_stays_the_same_person(door: Door) -> None:
    before = (await door.knock(email="mira@example.com", oid="one")).json()
    after = (await door.knock(email="mira.married@example.com", oid="one", iat=int(time.time()) + 1)).json()
    assert (after["id"], after["email"]) == (before["id"], "mira.married@example.com")


async def test_another_person_does_not_inherit_an_account_by_its_address(door: Door) -> None:
    await door.knock(email="mira@example.com", oid="one")
    answer = await door.knock(email="mira@example.com", oid="two")
    assert answer.status_code == 401
    assert "somebody else's account" in answer.json()["detail"]


async def test_an_account_from_before_is_linked_by_its_address(door: Door) -> None:
    me = (await door.knock(email="CHRIS@example.com", roles=["Jobs.Viewer"])).json()
    assert (me["email"], me["role"]) == ("chris@example.com", "team_viewer")
    assert await door.entries("user.created") == []


async def test_role_and_team_follow_newer_tokens_and_no_older_ones(door: Door) -> None:
    now = int(time.time())
    assert (await door.knock(iat=now - 100)).json()["role"] == "job_creator"
    assert (await door.knock(iat=now - 50, roles=["Jobs.Admin"])).json()["role"] == "admin"
    assert (await door.knock(iat=now - 100)).json()["role"] == "admin"
    (entry,) = await door.entries("user.updated")
    assert entry.changes["role"] == {"old": "job_creator", "new": "admin"}
    assert entry.changes["team"] == {"old": "newcomers", "new": "platform"}


#: Claims of people whom the provider knows and the platform does not let in.
NO_ENTRY: list[tuple[dict[str, Any], str]] = [
    ({"roles": None}, "None of your roles"),
    ({"roles": ["Jobs.Else"]}, "None of your roles"),
    ({"roles": None, "_claim_names": {"groups": "src1"}}, "too many groups"),
    ({"preferred_username": None}, "no e-mail address"),
    ({"preferred_username": None, "email": "maya@example.com", "email_verified": False}, "no e-mail address"),
]


@pytest.mark.parametrize(("claims", "reason"), NO_ENTRY)
async def test_who_gets_no_account(door: Door, claims: dict[str, Any], reason: str) -> None:
    answer = await door.knock(**claims)
    assert answer.status_code == 401
    assert reason in answer.json()["detail"]
    (entry,) = await door.entries("authentication.failed")
    assert reason in entry.reason
    async with door.cast.engine.connect() as connection:
        assert (await connection.execute(select(identities))).all() == []


async def test_a_person_who_lost_their_role_is_refused(door: Door) -> None:
    now = int(time.time())
    await door.knock(iat=now - 10)
    assert (await door.knock(iat=now, roles=None)).status_code == 401


async def test_a_deactivated_person_is_refused(door: Door) -> None:
    await door.knock()
    async with door.cast.engine.begin() as connection:
        await connection.execute(update(users).where(users.c.email == "mira@example.com").values(is_active=False))
    answer = await door.knock()
    assert (answer.status_code, answer.json()["detail"]) == (401, "This account is not active.")


async def test_a_deactivated_account_is_not_linked(door: Door) -> None:
    async with door.cast.engine.begin() as connection:
        await connection.execute(update(users).where(users.c.email == "maya@example.com").values(is_active=False))
    assert (await door.knock(email="maya@example.com")).status_code == 401


async def test_roles_decide_at_the_api(door: Door) -> None:
    assert (await door.knock("/audit-logs", email="a@example.com", roles=["Jobs.Admin"])).status_code == 200
    assert (await door.knock("/audit-logs", email="b@example.com")).status_code == 403


async def test_a_bad_token_is_refused_and_remembered_without_the_token(door: Door) -> None:
    token = door.provider.sign(claims_of(aud="other"))
    answer = await door.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["www-authenticate"]
    (entry,) = await door.entries("authentication.failed")
    assert entry.reason == "This token is meant for another service."
    assert token not in str(entry)


@pytest.mark.parametrize("header", ["Basic bWF5YTptYXlh", "Bearer", "Bearer ", "Negotiate x", "jp_key", ""])
async def test_only_bearer_is_an_authorization(door: Door, header: str) -> None:
    answer = await door.client.get("/api/v1/users/me", headers={"Authorization": header})
    assert answer.status_code == 401


async def test_two_credentials_are_none(door: Door) -> None:
    token = door.provider.sign(claims_of())
    both: dict[str, str] = {"Authorization": f"Bearer {token}", "X-API-Key": str(door.cast.maya.key)}
    assert (await door.client.get("/api/v1/users/me", headers=both)).status_code == 401
    twice = [("Authorization", f"Bearer {token}")] * 2
    assert (await door.client.get("/api/v1/users/me", headers=twice)).status_code == 401


async def test_with_the_provider_away_known_keys_go_on_and_api_keys_too(door: Door) -> None:
    await door.knock()
    door.provider.away = True
    assert (await door.knock()).status_code == 200
    assert (await door.cast.maya.get("/users/me")).status_code == 200


async def test_with_the_provider_away_from_the_start_tokens_wait_and_api_keys_go_on(door: Door) -> None:
    door.provider.away = True
    answer = await door.knock()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert (await door.cast.maya.get("/users/me")).status_code == 200


async def test_a_rotated_key_is_taken_at_once(door: Door) -> None:
    await door.knock()
    door.provider.published = ["second"]
    assert (await door.knock(key="second")).status_code == 200
    assert (await door.knock(key="first")).status_code == 401


async def test_a_token_s_job_is_triggered_by_the_api(door: Door) -> None:
    token = door.provider.sign(claims_of())
    headers = {"Authorization": f"Bearer {token}"}
    job = {"name": "By token", "type": "python", "script": "print(1)"}
    made = await door.client.post("/api/v1/jobs", json=job, headers=headers)
    assert (made.status_code, made.json()["team"]) == (201, "newcomers")
    run = await door.client.post(f"/api/v1/jobs/{made.json()['job_id']}/run", headers=headers)
    execution = await door.client.get(f"/api/v1/executions/{run.json()['execution_id']}", headers=headers)
    assert execution.json()["triggered_by"] == "api"


async def test_without_a_role_map_only_people_with_an_account_get_in(engine: AsyncEngine, tmp_path: Path) -> None:
    provider = TestProvider()
    services = services_on(engine, settings_for_tests(home=tmp_path))
    identity = asking(provider, services.clock)
    cast = await assemble_cast(engine, services_on(engine, services.settings, identity=identity))
    door = Door(cast, provider)
    me = (await door.knock(email="maya@example.com", roles=["Jobs.Admin"])).json()
    assert (me["role"], me["team"]) == ("job_creator", "devops")
    assert (await door.knock(email="mira@example.com", roles=["Jobs.Admin"])).status_code == 401
    async with engine.connect() as connection:
        assert "newcomers" not in set((await connection.execute(select(teams.c.name))).scalars())
    await identity.close()
    await cast.maya.client.aclose()
