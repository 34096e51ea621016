"""The page of API keys, and the button that proves the audit trail."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from tests.cast import Cast
from tests.desks import get_page, send_form

FORM = {"name": "Deployment", "days": "30", "reach": "some", "scopes": ["jobs:run"]}


async def made(cast: Cast, who: str = "maya") -> tuple[str, str]:
    """A key's id and the key itself."""
    answer = await send_form(cast, who, "/api-keys", FORM)
    assert answer.status_code == 201, answer.text
    items = (await cast.named(who).get("/api-keys")).json()["items"]
    found = re.search(r'id="new-key"[^>]*value="([^"]+)"', answer.text)
    assert found
    return items[0]["id"], found[1]


async def test_a_key_is_shown_once_and_works(cast: Cast) -> None:
    _, key = await made(cast)
    assert key not in (await get_page(cast, "maya", "/api-keys")).text
    answer = await cast.maya.client.get("/api/v1/users/me", headers={"X-API-Key": key})
    assert answer.json()["scopes"] == ["jobs:run"]


@pytest.mark.parametrize("name", ["nadia", "rajesh", "chris"])
async def test_the_keys_of_others_are_not_listed(cast: Cast, name: str) -> None:
    await made(cast)
    assert "Deployment" not in (await get_page(cast, name, "/api-keys")).text
    assert "Deployment" in (await get_page(cast, "admin", f"/api-keys?owner={cast.maya.email}")).text


@pytest.mark.parametrize("act", ["rotate", "revoke"])
@pytest.mark.parametrize("name", ["nadia", "rajesh", "chris"])
async def test_the_keys_of_others_are_out_of_reach(cast: Cast, name: str, act: str) -> None:
    key_id, key = await made(cast)
    assert (await send_form(cast, name, f"/api-keys/{key_id}/{act}")).status_code == 404
    assert (await cast.maya.client.get("/api/v1/users/me", headers={"X-API-Key": key})).status_code == 200


async def test_a_revoked_key_is_refused(cast: Cast) -> None:
    key_id, key = await made(cast)
    assert (await send_form(cast, "maya", f"/api-keys/{key_id}/revoke")).status_code == 303
    assert (await cast.maya.client.get("/api/v1/users/me", headers={"X-API-Key": key})).status_code == 401


async def test_a_rotated_key_gives_another_and_goes_on(cast: Cast) -> None:
    key_id, key = await made(cast)
    answer = await send_form(cast, "maya", f"/api-keys/{key_id}/rotate", {"overlap_minutes": "60"})
    assert answer.status_code == 201
    assert "Your new key" in answer.text
    assert (await cast.maya.client.get("/api/v1/users/me", headers={"X-API-Key": key})).status_code == 200


@pytest.mark.parametrize(
    ("changed", "field"), [({"name": ""}, "name"), ({"name": "x" * 101}, "name"), ({"scopes": []}, "scopes")]
)
async def test_what_is_wrong_is_told_beside_its_field(cast: Cast, changed: dict[str, object], field: str) -> None:
    answer = await send_form(cast, "maya", "/api-keys", FORM | changed)
    assert answer.status_code == 400
    assert f'id="{field}-fault"' in answer.text


@pytest.mark.parametrize(("name", "status"), [("admin", 200), ("maya", 403), ("rajesh", 403), ("chris", 403)])
async def test_only_administrators_verify_the_trail(cast: Cast, name: str, status: int) -> None:
    assert (await get_page(cast, name, "/audit/verify")).status_code == status


async def test_a_trail_that_was_tampered_with_is_told(cast: Cast) -> None:
    assert "The trail holds" in (await get_page(cast, "admin", "/audit/verify")).text
    async with cast.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await connection.execute(
            text("UPDATE audit_log SET action = 'job.run' WHERE id = (SELECT min(id) FROM audit_log)")
        )
    page = await get_page(cast, "admin", "/audit/verify", headers={"HX-Request": "true"})
    assert "The trail does not hold" in page.text
    assert page.text.lstrip().startswith('<div id="verdict"')
