"""The page of secrets: who keeps what, and that no value ever comes back."""

from __future__ import annotations

import pytest

from tests.cast import Cast
from tests.desks import get_page, send_form

VALUE = "correct horse battery staple"


async def kept(cast: Cast, name: str = "db-password", scope: str = "own") -> None:
    answer = await send_form(cast, "maya", "/secrets", {"name": name, "value": VALUE, "scope": scope})
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize(("name", "status"), [("admin", 200), ("maya", 200), ("rajesh", 200), ("chris", 403)])
async def test_viewers_have_no_page_of_secrets(cast: Cast, name: str, status: int) -> None:
    assert (await get_page(cast, name, "/secrets")).status_code == status


async def test_a_secret_is_kept_and_never_shown(cast: Cast) -> None:
    await kept(cast)
    text = (await get_page(cast, "maya", "/secrets")).text
    assert "db-password" in text
    assert "••••aple" in text
    assert VALUE not in text


@pytest.mark.parametrize(
    ("scope", "who", "sees"),
    [
        ("own", "nadia", False),
        ("own", "rajesh", False),
        ("team", "nadia", True),
        ("team", "rajesh", False),
        ("own", "admin", True),
    ],
)
async def test_a_secret_is_listed_for_those_whose_jobs_can_use_it(cast: Cast, scope: str, who: str, sees: bool) -> None:
    await kept(cast, scope=scope)
    assert ("db-password" in (await get_page(cast, who, "/secrets")).text) is sees


async def test_what_is_wrong_is_told_beside_the_field_and_the_value_is_not_sent_back(cast: Cast) -> None:
    answer = await send_form(cast, "maya", "/secrets", {"name": "no spaces please", "value": VALUE})
    assert answer.status_code == 400
    assert 'id="name-fault"' in answer.text
    assert "no spaces please" in answer.text
    assert VALUE not in answer.text


async def test_a_name_that_is_taken_is_told_beside_the_field(cast: Cast) -> None:
    await kept(cast)
    answer = await send_form(cast, "maya", "/secrets", {"name": "DB-password", "value": VALUE})
    assert answer.status_code == 409
    assert 'id="name-fault"' in answer.text


async def test_line_ends_are_those_that_were_typed(cast: Cast) -> None:
    await send_form(cast, "maya", "/secrets", {"name": "pem", "value": "-----BEGIN-----\r\nabcdef\r\n"})
    assert (await cast.maya.get("/secrets/pem")).json()["last_four"] == "def\n"


async def test_a_secret_gets_a_new_value(cast: Cast) -> None:
    await kept(cast)
    form = {"name": "db-password", "scope": "own", "owner": cast.maya.email, "value": "another long value"}
    assert (await send_form(cast, "maya", "/secrets/replace", form)).status_code == 303
    assert (await cast.maya.get("/secrets/db-password")).json()["version"] == 2


@pytest.mark.parametrize("act", ["replace", "delete"])
@pytest.mark.parametrize(("name", "status"), [("rajesh", 404), ("nadia", 404), ("chris", 404)])
async def test_what_is_not_yours_stays_as_it_is(cast: Cast, name: str, status: int, act: str) -> None:
    await kept(cast)
    form = {"name": "db-password", "scope": "own", "owner": cast.maya.email, "value": "another long value"}
    assert (await send_form(cast, name, f"/secrets/{act}", form)).status_code == status
    assert (await cast.maya.get("/secrets/db-password")).json()["version"] == 1


async def test_one_that_a_job_uses_goes_only_when_that_was_said(cast: Cast) -> None:
    from tests.history import a_job

    await kept(cast)
    await a_job(cast.maya, name="Uses it", secrets={"DB_PASSWORD": "db-password"})
    page = await get_page(cast, "maya", "/secrets")
    assert "Uses it" in page.text
    form = {"name": "db-password", "scope": "own"}
    assert (await send_form(cast, "maya", "/secrets/delete", form)).status_code == 409
    assert (await send_form(cast, "maya", "/secrets/delete", form | {"force": "true"})).status_code == 303
    assert "No secrets yet" in (await get_page(cast, "maya", "/secrets")).text
