"""The door to Prefect's own pages: who goes through, what goes along, and what stays here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.web.prefect_door import content_security_policy
from tests.cast import Cast, assemble_cast, services_on, settings_for_tests
from tests.desks import get_page, send_json
from tests.history import audited
from tests.prefect_server import AUTH_STRING, PrefectServer

BASE = "http://test"
HERE = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
PART = {"Accept": "application/json", "Sec-Fetch-Dest": "empty"}


@pytest.fixture
async def cast(engine: AsyncEngine, tmp_path: Path, prefect_server: PrefectServer) -> AsyncIterator[Cast]:
    """Everybody, with a real Prefect behind the door."""
    settings = settings_for_tests(
        home=tmp_path,
        base_url=BASE,
        prefect_api_url=prefect_server.api_url,
        prefect_auth_string=SecretStr(AUTH_STRING),
    )
    cast = await assemble_cast(engine, services_on(engine, settings))
    yield cast
    await cast.maya.client.aclose()


async def test_an_administrator_needs_no_password_of_prefects(cast: Cast) -> None:
    answer = await get_page(cast, "admin", "/prefect/api/admin/version", headers=PART)
    assert (answer.status_code, answer.json()) == (200, "3.8.8")
    assert "www-authenticate" not in answer.headers
    assert AUTH_STRING not in str(answer.headers)


@pytest.mark.parametrize("name", ["maya", "rajesh", "chris"])
async def test_others_are_led_to_our_own_history(cast: Cast, name: str) -> None:
    page = await get_page(cast, name, "/prefect/runs")
    assert (page.status_code, page.headers["location"]) == (303, "/executions")
    [entry] = await audited(cast.admin, action="access.denied")
    assert (entry["email"], entry["outcome"]) == (cast.named(name).email, "denied")


@pytest.mark.parametrize("name", ["maya", "rajesh", "chris"])
async def test_others_get_nothing_of_prefects_api(cast: Cast, name: str) -> None:
    assert (await get_page(cast, name, "/prefect/api/admin/version", headers=PART)).status_code == 403
    answer = await send_json(cast, name, "/prefect/api/flow_runs/filter", {}, HERE)
    assert answer.status_code == 403


async def test_strangers_sign_in_first(cast: Cast) -> None:
    page = await get_page(cast, "stranger", "/prefect/")
    assert page.headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "sender",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": BASE, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://test.evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_no_other_site_changes_anything_there(cast: Cast, sender: dict[str, str]) -> None:
    answer = await send_json(cast, "admin", "/prefect/api/flows/", {"name": "slipped in"}, sender)
    assert answer.status_code == 403


async def test_an_api_key_is_no_session(cast: Cast) -> None:
    answer = await cast.admin.client.get("/prefect/api/admin/version", headers={"X-API-Key": cast.admin.key or ""})
    assert answer.status_code in (303, 401)


async def test_a_change_is_on_record_and_a_question_is_not(cast: Cast) -> None:
    asked = await send_json(cast, "admin", "/prefect/api/flows/filter", {"limit": 1}, HERE)
    assert asked.status_code == 200
    made = await send_json(cast, "admin", "/prefect/api/flows/", {"name": "made by hand"}, HERE)
    assert made.status_code == 201
    entries = await audited(cast.admin, action="prefect.changed")
    assert [(entry["email"], entry["resource_name"]) for entry in entries] == [
        (cast.admin.email, "/prefect/api/flows/")
    ]


async def test_going_in_is_on_record(cast: Cast) -> None:
    await get_page(cast, "admin", "/prefect/runs")
    assert (await audited(cast.admin, action="prefect.opened"))[0]["resource_name"] == "/prefect/runs"


async def test_a_prefect_that_is_away_is_told_in_words(cast: Cast) -> None:
    from dataclasses import replace

    settings = cast.services.settings.model_copy(update={"prefect_api_url": "http://127.0.0.1:9/api"})
    away = await assemble_cast(cast.engine, replace(cast.services, settings=settings))
    page = await get_page(away, "admin", "/prefect/")
    assert page.status_code == 503
    assert "Prefect does not answer" in page.text
    await away.maya.client.aclose()


def test_prefects_pages_may_ask_nothing_but_prefect() -> None:
    policy = content_security_policy(settings_for_tests(base_url="https://jobs.example"))
    assert "connect-src https://jobs.example/prefect/ wss://jobs.example/prefect/;" in policy
    assert "'unsafe-eval'" not in policy
    assert "form-action 'none'" in policy


def test_a_session_never_leaves_the_house() -> None:
    from platform_api.web.prefect_door import _NOT_SENT

    assert {"cookie", "x-csrf-token", "x-api-key"} <= _NOT_SENT
