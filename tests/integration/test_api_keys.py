"""API keys: shown once, stored as a hash, never wider than what made them, gone when revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from platform_api.db.schema import api_keys, audit_log, idempotency_keys
from platform_api.identity.api_keys import hash_key
from platform_api.use_cases.key_uses import write_uses
from tests.cast import Actor, Cast, hello

KEY = {"Idempotency-Key": "a-key"}


async def made(who: Actor, **body: Any) -> dict[str, Any]:
    """The answer to a new key."""
    answer = await who.post("/api-keys", {"name": "ci"} | body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def using(who: Actor, key: dict[str, Any]) -> Actor:
    """The same person with that key."""
    return replace(who, key=key["key"])


async def trail(cast: Cast, action: str) -> list[Any]:
    query = select(audit_log).where(audit_log.c.action == action).order_by(audit_log.c.id)
    async with cast.engine.connect() as connection:
        return list(await connection.execute(query.where(audit_log.c.actor_id.is_not(None))))


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def test_a_new_key_is_shown_once_and_opens_what_it_says(cast: Cast) -> None:
    answer = await cast.maya.post("/api-keys", {"name": "ci", "scopes": ["jobs:read"]})
    key = answer.json()
    assert set(key) == {"id", "key", "prefix", "scopes", "expires_at"}
    assert key["key"].startswith(key["prefix"])
    assert (key["key"][:3], len(key["key"]), key["scopes"]) == ("jp_", 46, ["jobs:read"])
    assert answer.headers["location"] == f"/api/v1/api-keys/{key['id']}"
    assert answer.headers["cache-control"] == "no-store"
    ci = using(cast.maya, key)
    assert (await ci.get("/jobs")).status_code == 200
    assert (await ci.post("/jobs", hello())).status_code == 403
    assert key["key"] not in (await cast.maya.get("/api-keys")).text
    assert key["key"] not in (await cast.maya.get(f"/api-keys/{key['id']}")).text


async def test_only_a_keyed_hash_is_stored_anywhere(cast: Cast) -> None:
    key = await made(cast.maya)
    async with cast.engine.connect() as connection:
        row = (await connection.execute(select(api_keys).where(api_keys.c.id == key["id"]))).one()
        tables = (
            await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        ).scalars()
        everything = [
            (await connection.execute(text(f"SELECT string_agg(t::text, '') FROM {name} t"))).scalar_one()  # noqa: S608
            for name in tables.all()
        ]
    assert bytes(row.key_hash) == hash_key(key["key"], "a pepper for tests")
    secret = key["key"].removeprefix(key["prefix"])
    assert not [
        content for content in everything if content and (secret in content or secret.encode().hex() in content)
    ]


async def test_a_repeated_request_makes_one_key_and_the_key_itself_is_not_kept_for_it(cast: Cast) -> None:
    first = await cast.maya.post("/api-keys", {"name": "ci"}, headers=KEY)
    again = await cast.maya.post("/api-keys", {"name": "ci"}, headers=KEY)
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json() | {"key": None}
    rotate = f"/api-keys/{first.json()['id']}/rotate"
    headers = {"Idempotency-Key": "another"}
    turned = [await cast.maya.post(rotate, {}, headers=headers) for _ in range(2)]
    assert turned[1].json() == turned[0].json() | {"key": None}
    async with cast.engine.connect() as connection:
        bodies = (await connection.execute(select(idempotency_keys.c.body))).scalars().all()
    assert not [
        body for body in bodies if first.json()["key"].encode() in body or turned[0].json()["key"].encode() in body
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "\0"}, "name"),
        ({"name": "ci", "scopes": []}, "scopes"),
        ({"name": "ci", "scopes": ["jobs:explode"]}, "scopes"),
        ({"name": "ci", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "ci", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"name": "ci", "expires_at": in_days(366)}, "expires_at"),
        ({"name": "ci", "owner": "admin@example.com"}, "owner"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_with_its_field(cast: Cast, body: Any, field: str) -> None:
    answer = await cast.maya.post("/api-keys", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith(field)


async def test_a_key_lives_as_long_as_is_said_and_90_days_otherwise(cast: Cast) -> None:
    assert abs(
        datetime.fromisoformat((await made(cast.maya))["expires_at"]) - datetime.now(UTC) - timedelta(90)
    ) < timedelta(minutes=1)
    key = await made(cast.maya, expires_at=in_days(10))
    assert (await using(cast.maya, key).get("/users/me")).status_code == 200
    cast.clock.at = datetime.now(UTC) + timedelta(days=11)
    answer = await using(cast.maya, key).get("/users/me")
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (401, True)


#: The scopes of the key in use, what a new key is to have, and the answer.
WIDENING = [
    (["keys:write"], ["keys:write"], 201),
    (["keys:write", "jobs:read"], ["jobs:read"], 201),
    (["keys:write", "jobs:read"], None, 201),
    (["keys:write"], ["jobs:read"], 403),
    (["keys:write", "jobs:read"], ["jobs:read", "jobs:write"], 403),
    (["keys:write"], ["*"], 403),
    (["keys:write", "jobs:read"], ["*", "jobs:read"], 403),
    (["jobs:read"], ["jobs:read"], 403),
]


@pytest.mark.parametrize(("held", "wanted", "status"), WIDENING)
async def test_a_key_makes_no_key_that_can_do_more(cast: Cast, held: list[str], wanted: Any, status: int) -> None:
    narrow = using(cast.maya, await made(cast.maya, scopes=held))
    body = {"name": "next"} | ({"scopes": wanted} if wanted else {})
    answer = await narrow.post("/api-keys", body)
    assert answer.status_code == status
    if status == 201:
        assert set(answer.json()["scopes"]) <= set(held)
    else:
        assert [entry.actor_email for entry in await trail(cast, "access.denied")] == ["maya@example.com"]


async def test_a_key_rotates_no_key_that_can_do_more(cast: Cast) -> None:
    wide = await made(cast.maya)
    narrow = using(cast.maya, await made(cast.maya, scopes=["keys:write"]))
    assert (await narrow.post(f"/api-keys/{wide['id']}/rotate")).status_code == 403
    assert (await using(cast.maya, wide).get("/jobs")).status_code == 200


async def test_after_a_rotation_both_keys_work_until_the_overlap_is_over(cast: Cast) -> None:
    old = await made(cast.maya, scopes=["jobs:read"])
    new = (await cast.maya.post(f"/api-keys/{old['id']}/rotate")).json()
    assert new["key"] != old["key"]
    assert (new["scopes"], new["id"] != old["id"]) == (["jobs:read"], True)
    shown = (await cast.maya.get(f"/api-keys/{old['id']}")).json()
    assert shown["replaced_by"] == new["id"]
    for minutes, statuses in ((0, (200, 200)), (59, (200, 200)), (61, (401, 200))):
        cast.clock.at = datetime.now(UTC) + timedelta(minutes=minutes)
        assert tuple([(await using(cast.maya, key).get("/jobs")).status_code for key in (old, new)]) == statuses


async def test_an_overlap_of_nothing_ends_the_old_key_at_once(cast: Cast) -> None:
    old = await made(cast.maya)
    new = (await cast.maya.post(f"/api-keys/{old['id']}/rotate", {"overlap_minutes": 0})).json()
    assert (await using(cast.maya, old).get("/jobs")).status_code == 401
    assert (await using(cast.maya, new).get("/jobs")).status_code == 200


async def test_a_rotation_never_lengthens_the_old_key(cast: Cast) -> None:
    old = await made(cast.maya, expires_at=in_days(0.01))
    await cast.maya.post(f"/api-keys/{old['id']}/rotate", {"overlap_minutes": 10_080})
    assert (await cast.maya.get(f"/api-keys/{old['id']}")).json()["expires_at"] == old["expires_at"]


@pytest.mark.parametrize(
    "body", [{"overlap_minutes": -1}, {"overlap_minutes": 10_081}, {"overlap_minutes": "5"}, {"x": 1}]
)
async def test_a_rotation_that_cannot_be_is_refused(cast: Cast, body: Any) -> None:
    key = await made(cast.maya)
    assert (await cast.maya.post(f"/api-keys/{key['id']}/rotate", body)).status_code == 400


async def test_a_key_is_rotated_once_and_an_expired_one_never(cast: Cast) -> None:
    old = await made(cast.maya, expires_at=in_days(1))
    assert (await cast.maya.post(f"/api-keys/{old['id']}/rotate")).status_code == 201
    assert (await cast.maya.post(f"/api-keys/{old['id']}/rotate")).status_code == 409
    cast.clock.at = datetime.now(UTC) + timedelta(days=2)
    assert (await cast.maya.post(f"/api-keys/{old['id']}/rotate")).status_code == 409
    assert len(await trail(cast, "key.rotated")) == 1


async def test_a_revoked_key_is_refused_from_the_next_request_on_and_is_gone(cast: Cast) -> None:
    key = await made(cast.maya)
    assert (await using(cast.maya, key).get("/jobs")).status_code == 200
    assert (await cast.maya.delete(f"/api-keys/{key['id']}")).status_code == 204
    answer = await using(cast.maya, key).get("/jobs")
    assert (answer.status_code, "revoked" in answer.json()["detail"]) == (401, True)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        assert (await cast.maya.request(method, f"/api-keys/{key['id']}{path}")).status_code == 404
    assert key["id"] not in (await cast.maya.get("/api-keys")).text


#: Who tries it with a key of Maya's: admin, maya, nadia (her team), rajesh, chris (looks at her team), a stranger.
AT_MAYAS_KEY = [
    ("GET", "", (200, 200, 404, 404, 404, 401)),
    ("POST", "/rotate", (201, 201, 404, 404, 404, 401)),
    ("DELETE", "", (204, 204, 404, 404, 404, 401)),
]
EVERYBODY = ("admin", "maya", "nadia", "rajesh", "chris", "stranger")


@pytest.mark.parametrize(("method", "path", "statuses"), AT_MAYAS_KEY)
async def test_a_key_is_its_owners_and_the_administrators_business(
    cast: Cast, method: str, path: str, statuses: tuple[int, ...]
) -> None:
    for who, status in zip(EVERYBODY, statuses, strict=True):
        key = await made(cast.maya)
        answer = await cast.named(who).request(method, f"/api-keys/{key['id']}{path}")
        assert (who, answer.status_code) == (who, status)


async def test_a_list_holds_what_one_may_see(cast: Cast) -> None:
    for who in ("maya", "nadia"):
        await made(cast.named(who))
    for who in ("maya", "nadia", "rajesh", "chris"):
        owners = {key["owner"] for key in (await cast.named(who).get("/api-keys")).json()["items"]}
        assert owners == {f"{who}@example.com"}
    everybody = (await cast.admin.get("/api-keys")).json()["items"]
    assert len(everybody) == 7
    mayas = (await cast.admin.get("/api-keys?owner=MAYA@example.com")).json()["items"]
    assert [key["owner"] for key in mayas] == ["maya@example.com"] * 2
    assert (await cast.nadia.get("/api-keys?owner=maya@example.com")).json()["items"] == []


async def test_the_list_comes_in_pages(cast: Cast) -> None:
    ids = [(await made(cast.maya, name=f"key {number}"))["id"] for number in range(3)]
    first = (await cast.maya.get("/api-keys?limit=2")).json()
    second = (await cast.maya.get(f"/api-keys?limit=2&cursor={first['next_cursor']}")).json()
    assert [key["id"] for key in first["items"] + second["items"]][:3] == ids[::-1]
    assert second["next_cursor"] is None
    for cursor in ("W10", "WyJ4Il0", "WzFd", "x"):
        assert (await cast.maya.get(f"/api-keys?cursor={cursor}")).status_code == 400


async def test_what_happens_to_a_key_is_in_the_trail_without_the_key(cast: Cast) -> None:
    key = await made(cast.maya, scopes=["jobs:read"])
    await cast.admin.post(f"/api-keys/{key['id']}/rotate")
    await cast.admin.delete(f"/api-keys/{key['id']}")
    [created] = await trail(cast, "key.created")
    assert (created.resource_type, created.resource_id, created.resource_name) == ("api_key", key["id"], "ci")
    assert created.changes["scopes"] == {"old": None, "new": ["jobs:read"]}
    [rotated], [revoked] = await trail(cast, "key.rotated"), await trail(cast, "key.revoked")
    assert {rotated.actor_email, revoked.actor_email} == {"admin@example.com"}
    assert key["key"] not in f"{created} {rotated} {revoked}"


async def test_the_last_use_is_written_beside_the_request_and_once_a_minute(cast: Cast) -> None:
    key = await made(cast.maya)
    began = datetime.now(UTC).replace(microsecond=0)
    seen = []
    for seconds in (0, 59, 61, 62):
        cast.clock.at = began + timedelta(seconds=seconds)
        await using(cast.maya, key).get("/users/me")
        await write_uses(cast.services)
        cast.clock.at = None
        shown = (await cast.maya.get(f"/api-keys/{key['id']}")).json()["last_used_at"]
        seen.append((datetime.fromisoformat(shown) - began).total_seconds())
    assert seen == [0, 0, 61, 61]
