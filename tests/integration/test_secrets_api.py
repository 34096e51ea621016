"""Secrets through the API: who may do what with which, and a value that nobody gets to see."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from platform_api.db.schema import api_keys, audit_log, jobs, secret_versions, teams, users
from platform_api.domain.errors import Unavailable
from platform_api.ports.secret_store import SecretStore, StoreAway
from platform_api.ports.secrets import SecretsUnavailable
from platform_api.secret_store.reading import StoredSecrets
from platform_api.use_cases import secret_upkeep
from tests.cast import Cast, hello

VALUE = "c0rrect-horse-battery"
EVERYBODY = ("admin", "maya", "nadia", "rajesh", "chris", "stranger")


def secret(**changed: Any) -> dict[str, Any]:
    return {"name": "warehouse-password", "value": VALUE, "scope": "own"} | changed


async def made(cast: Cast, who: str = "maya", **changed: Any) -> dict[str, Any]:
    answer = await cast.named(who).post("/secrets", secret(**changed))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def everything(cast: Cast) -> str:
    """Every row of every table."""
    async with cast.engine.connect() as connection:
        names = await connection.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        )
        rows = [(await connection.execute(text(f'SELECT * FROM "{n}"'))).all() for (n,) in names]  # noqa: S608
    return "\n".join(
        value.decode("latin-1") if isinstance(value, bytes) else repr(value)
        for table in rows
        for row in table
        for value in row
    )


async def trail(cast: Cast, action: str) -> list[Any]:
    async with cast.engine.connect() as connection:
        query = select(audit_log).where(audit_log.c.action == action).order_by(audit_log.c.id)
        return list((await connection.execute(query)).all())


# Reading and writing


async def test_a_new_secret_is_shown_without_its_value(cast: Cast) -> None:
    answer = await cast.maya.post("/secrets", secret())
    shown = answer.json()
    assert (shown["name"], shown["scope"], shown["owner"], shown["team"]) == (
        "warehouse-password",
        "own",
        "maya@example.com",
        None,
    )
    assert (shown["last_four"], shown["version"], shown["used_by"]) == ("tery", 1, [])
    assert answer.headers["location"] == "/api/v1/secrets/warehouse-password?scope=own"
    again = await cast.maya.get("/secrets/warehouse-password")
    assert again.json() == shown
    assert (await cast.maya.get("/secrets")).json() == {"items": [shown], "next_cursor": None}
    for text_ in (answer.text, again.text):
        assert VALUE not in text_


async def test_a_new_value_makes_a_version_and_changes_what_is_shown(cast: Cast) -> None:
    first = await made(cast)
    second = (await cast.maya.put("/secrets/Warehouse-Password", {"value": "another value 9876"})).json()
    assert (second["version"], second["last_four"]) == (2, "9876")
    assert second["updated_at"] > first["updated_at"]
    assert second["created_at"] == first["created_at"]


@pytest.mark.parametrize(("value", "shown"), [("12345678901", None), ("123456789012", "9012"), ("abcd", None)])
async def test_of_a_short_value_nothing_is_shown(cast: Cast, value: str, shown: str | None) -> None:
    assert (await made(cast, value=value))["last_four"] == shown


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"value": "abc"}, "value"),
        ({"value": ""}, "value"),
        ({"value": "a\nb\nc\nd"}, "value"),
        ({"value": "pass\0word"}, "value"),
        ({"value": "x" * (25 * 1024 + 1)}, "value"),
        ({"value": {"secret": VALUE}}, "value"),
        ({"value": [VALUE]}, "value"),
        ({"value": None}, "value"),
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "../etc"}, "name"),
        ({"name": "-a"}, "name"),
        ({"name": "ü"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": 7}, "name"),
        ({"scope": "everybody"}, "scope"),
        ({"valeu": VALUE}, "valeu"),
    ],
)
async def test_a_faulty_secret_is_refused_without_repeating_its_value(
    cast: Cast, changed: dict[str, Any], field: str
) -> None:
    body = secret(value="s3cret-text-of-mine") | changed
    answer = await cast.maya.post("/secrets", body)
    assert answer.status_code == 400
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert "s3cret" not in answer.text
    assert VALUE not in answer.text


@pytest.mark.parametrize("content", [b'{"name": "a", "value": "c0rrect-horse-bat', b'"c0rrect-horse-bat"', b"[]", b""])
async def test_a_body_that_is_no_json_object_is_not_repeated(cast: Cast, content: bytes) -> None:
    for method, path in (("POST", "/secrets"), ("PUT", "/secrets/x")):
        answer = await cast.maya.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert "c0rrect" not in answer.text


async def test_a_name_is_taken_once_per_person_and_once_per_team_in_any_case(cast: Cast) -> None:
    await made(cast)
    for again in (secret(), secret(name="WAREHOUSE-password")):
        assert (await cast.maya.post("/secrets", again)).status_code == 409
    await made(cast, scope="team")
    assert (await cast.nadia.post("/secrets", secret(scope="team"))).status_code == 409
    await made(cast, "nadia")
    await made(cast, "rajesh", scope="team")


async def test_a_deleted_name_is_free_again(cast: Cast) -> None:
    await made(cast)
    assert (await cast.maya.delete("/secrets/warehouse-password")).status_code == 204
    assert (await cast.maya.get("/secrets/warehouse-password")).status_code == 404
    assert (await made(cast))["version"] == 1


@pytest.mark.parametrize(("body", "status"), [({"name": "other"}, 400), ({"scope": "team"}, 404), ({"x": 1}, 400)])
async def test_a_new_value_cannot_rename_or_move_a_secret(cast: Cast, body: dict[str, Any], status: int) -> None:
    await made(cast)
    answer = await cast.maya.put("/secrets/warehouse-password", {"value": "a new value"} | body)
    assert answer.status_code == status
    assert (await cast.maya.get("/secrets/warehouse-password")).json()["version"] == 1


async def test_the_list_has_pages(cast: Cast) -> None:
    for name in ("b", "A", "c"):
        await made(cast, name=name)
    first = (await cast.maya.get("/secrets?limit=2")).json()
    second = (await cast.maya.get(f"/secrets?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["name"] for item in first["items"] + second["items"]] == ["A", "b", "c"]
    assert second["next_cursor"] is None
    assert (await cast.maya.get("/secrets?cursor=W10")).status_code == 400


# Who may


#: What each person gets: admin, maya (who made them), nadia (her team), rajesh (another), chris (viewer), stranger.
AT_MAYAS: list[tuple[str, str, Any, tuple[int, ...]]] = [
    ("GET", "own", None, (200, 200, 404, 404, 404, 401)),
    ("PUT", "own", {"value": "another value"}, (200, 200, 404, 404, 404, 401)),
    ("DELETE", "own", None, (204, 204, 404, 404, 404, 401)),
    ("GET", "team", None, (200, 200, 200, 404, 404, 401)),
    ("PUT", "team", {"value": "another value"}, (200, 200, 200, 404, 404, 401)),
    ("DELETE", "team", None, (204, 204, 204, 404, 404, 401)),
]


@pytest.mark.parametrize(("method", "scope", "body", "statuses"), AT_MAYAS)
async def test_who_may_do_what_with_mayas_secrets(
    cast: Cast, method: str, scope: str, body: Any, statuses: tuple[int, ...]
) -> None:
    await made(cast, scope=scope)
    for who, status in sorted(zip(EVERYBODY, statuses, strict=True), key=lambda pair: -pair[1]):
        rest = {"json": body} if body is not None else {}
        answer = await cast.named(who).request(method, "/secrets/warehouse-password", **rest)
        assert (who, answer.status_code) == (who, status)
        if answer.status_code == 204:
            await made(cast, scope=scope)


@pytest.mark.parametrize(
    ("method", "statuses"), [("GET", (200, 200, 200, 200, 403, 401)), ("POST", (201, 201, 201, 201, 403, 401))]
)
async def test_who_may_have_secrets_at_all(cast: Cast, method: str, statuses: tuple[int, ...]) -> None:
    for who, status in zip(EVERYBODY, statuses, strict=True):
        rest = {"json": secret()} if method == "POST" else {}
        answer = await cast.named(who).request(method, "/secrets", **rest)
        assert (who, answer.status_code) == (who, status)


async def test_a_list_holds_what_one_may_see_one_by_one(cast: Cast) -> None:
    for who in ("maya", "nadia", "rajesh"):
        await made(cast, who, name=f"{who}s")
    await made(cast, name="devops", scope="team")
    await made(cast, "rajesh", name="data", scope="team")
    seen = {
        who: [item["name"] for item in (await cast.named(who).get("/secrets")).json()["items"]]
        for who in ("admin", "maya", "nadia", "rajesh")
    }
    assert seen == {
        "admin": ["data", "devops", "mayas", "nadias", "rajeshs"],
        "maya": ["devops", "mayas"],
        "nadia": ["devops", "nadias"],
        "rajesh": ["data", "rajeshs"],
    }


async def test_a_secret_one_may_not_see_looks_like_one_that_does_not_exist(cast: Cast) -> None:
    await made(cast)
    hidden = (await cast.rajesh.get("/secrets/warehouse-password")).json()
    absent = (await cast.rajesh.get("/secrets/warehouse-pa55word")).json()
    for name in ("type", "title", "status"):
        assert hidden[name] == absent[name]
    assert hidden["detail"] == absent["detail"].replace("pa55word", "password")
    [denial] = await trail(cast, "access.denied")
    assert (denial.actor_email, denial.resource_type) == ("rajesh@example.com", "secret")


async def test_whoever_leaves_the_team_leaves_its_secrets(cast: Cast) -> None:
    await made(cast, scope="team")
    async with cast.engine.begin() as connection:
        data = select(teams.c.id).where(teams.c.name == "data-engineering").scalar_subquery()
        await connection.execute(update(users).where(users.c.email == "maya@example.com").values(team_id=data))
    assert (await cast.maya.get("/secrets/warehouse-password")).status_code == 404
    assert (await cast.nadia.get("/secrets/warehouse-password")).status_code == 200


async def test_an_administrator_says_whose_secret_is_meant(cast: Cast) -> None:
    for who in ("maya", "nadia"):
        await made(cast, who, value=f"value of {who}")
    assert (await cast.admin.get("/secrets/warehouse-password")).status_code == 409
    mine = await cast.admin.get("/secrets/warehouse-password?owner=Nadia@example.com")
    assert mine.json()["owner"] == "nadia@example.com"
    assert (await cast.maya.get("/secrets/warehouse-password?owner=nadia@example.com")).status_code == 404


async def test_an_own_secret_comes_before_the_teams(cast: Cast) -> None:
    await made(cast)
    await made(cast, scope="team")
    assert (await cast.maya.get("/secrets/warehouse-password")).json()["scope"] == "own"
    assert (await cast.maya.get("/secrets/warehouse-password?scope=team")).json()["scope"] == "team"
    assert (await cast.nadia.get("/secrets/warehouse-password")).json()["scope"] == "team"


async def test_a_narrowed_key_needs_the_scope_for_secrets(cast: Cast) -> None:
    await made(cast)
    async with cast.engine.begin() as connection:
        await connection.execute(update(api_keys).values(scopes=["jobs:write", "secrets:read"]))
    assert (await cast.maya.get("/secrets/warehouse-password")).status_code == 200
    assert (await cast.maya.put("/secrets/warehouse-password", {"value": "a new value"})).status_code == 403
    assert (await cast.maya.delete("/secrets/warehouse-password")).status_code == 403
    assert (await cast.maya.post("/secrets", secret(name="b"))).status_code == 403


# Jobs


USING = {"DB_PASSWORD": "warehouse-password"}


@pytest.mark.parametrize(
    ("who", "holder", "scope", "status"),
    [
        ("maya", "maya", "own", 201),
        ("maya", "nadia", "own", 400),
        ("maya", "rajesh", "own", 400),
        ("maya", "admin", "own", 400),
        ("maya", "nadia", "team", 201),
        ("maya", "rajesh", "team", 400),
        ("rajesh", "nadia", "team", 400),
        ("admin", "maya", "own", 400),
        ("admin", "maya", "team", 400),
    ],
)
async def test_a_job_may_name_what_its_owner_may_use(
    cast: Cast, who: str, holder: str, scope: str, status: int
) -> None:
    await made(cast, holder, scope=scope)
    answer = await cast.named(who).post("/jobs", hello(secrets=USING))
    assert answer.status_code == status
    if status == 400:
        assert [error["field"] for error in answer.json()["errors"]] == ["secrets.DB_PASSWORD"]
        assert "warehouse" not in answer.text
    checked = await cast.named(who).post("/jobs/validate", hello(secrets=USING))
    assert checked.status_code == {201: 200, 400: 400}[status]


async def test_all_faults_of_a_job_are_told_at_once(cast: Cast) -> None:
    answer = await cast.maya.post("/jobs", hello(secrets={"A": "none", "B": "not a name"}, schedule="x"))
    assert {error["field"] for error in answer.json()["errors"]} == {"secrets.A", "secrets.B", "schedule"}


async def test_whoever_edits_a_job_its_owner_must_have_the_secret(cast: Cast) -> None:
    job = (await cast.maya.post("/jobs", hello())).json()["job_id"]
    await made(cast, "admin", name="admins")
    await made(cast, name="mayas")
    assert (await cast.admin.patch(f"/jobs/{job}", {"secrets": {"A": "admins"}})).status_code == 400
    assert (await cast.admin.patch(f"/jobs/{job}", {"secrets": {"A": "mayas"}})).status_code == 200
    assert (await cast.admin.post(f"/jobs/{job}/clone")).status_code == 400


async def test_a_secret_in_use_is_deleted_by_force_only_and_its_job_can_still_be_switched_off(cast: Cast) -> None:
    await made(cast)
    job = (await cast.maya.post("/jobs", hello(secrets=USING))).json()["job_id"]
    refused = await cast.maya.delete("/secrets/warehouse-password")
    assert (refused.status_code, "“Hello”" in refused.json()["detail"]) == (409, True)
    assert (await cast.maya.delete("/secrets/warehouse-password?force=true")).status_code == 204
    assert (await cast.maya.patch(f"/jobs/{job}", {"status": "disabled"})).status_code == 200
    assert (await cast.maya.patch(f"/jobs/{job}", {"description": "x"})).status_code == 400
    await cast.maya.patch(f"/jobs/{job}", {"secrets": {"DB_PASSWORD": None}})
    assert (await cast.maya.post(f"/jobs/{job}/rollback", {"version": 1})).status_code == 400


async def test_used_by_names_the_jobs_that_one_may_see_and_hints_at_others_only_when_it_matters(cast: Cast) -> None:
    await made(cast, scope="team")
    mine = (await cast.maya.post("/jobs", hello(secrets=USING))).json()
    await cast.nadia.post("/jobs", hello(name="Nadia's", secrets=USING))
    deleted = (await cast.maya.post("/jobs", hello(name="Gone", secrets=USING))).json()
    await cast.maya.delete(f"/jobs/{deleted['job_id']}")
    shown = (await cast.maya.get("/secrets/warehouse-password")).json()
    assert shown["used_by"] == [{"job_id": mine["job_id"], "name": "Hello"}]
    assert len((await cast.admin.get("/secrets/warehouse-password")).json()["used_by"]) == 2
    await cast.maya.delete(f"/jobs/{mine['job_id']}")
    refused = await cast.maya.delete("/secrets/warehouse-password")
    assert refused.json()["detail"].startswith("jobs that you may not see use this secret")
    assert "Nadia" not in refused.text


async def test_a_job_whose_owner_has_an_own_secret_does_not_use_the_teams(cast: Cast) -> None:
    await made(cast, scope="team")
    await cast.maya.post("/jobs", hello(secrets=USING))
    await made(cast)
    own, teams_ = [(await cast.maya.get(f"/secrets/warehouse-password?scope={s}")).json() for s in ("own", "team")]
    assert (len(own["used_by"]), len(teams_["used_by"])) == (1, 0)


# Nothing is left anywhere


async def test_no_table_holds_a_value_whatever_is_done_with_it(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        key = {"Idempotency-Key": "once"}
        await cast.maya.post("/secrets", secret(), headers=key)
        await cast.maya.post("/secrets", secret(), headers=key)
        await cast.maya.post("/secrets", secret(value=VALUE + "2"), headers=key)
        await cast.maya.post("/secrets", secret())
        await cast.maya.put("/secrets/warehouse-password", {"value": VALUE + "3"})
        await cast.chris.post("/secrets", secret())
        await cast.maya.delete("/secrets/warehouse-password")
    assert VALUE not in await everything(cast)
    assert VALUE not in caplog.text


async def test_a_repeated_request_makes_one_secret_and_its_trace_cannot_be_guessed_from(cast: Cast) -> None:
    key = {"Idempotency-Key": "once"}
    first = await cast.maya.post("/secrets", secret(), headers=key)
    again = await cast.maya.post("/secrets", secret(), headers=key)
    other = await cast.maya.post("/secrets", secret(value="another value"), headers=key)
    assert (again.status_code, again.json(), other.status_code) == (201, first.json(), 409)
    body = first.request.content
    plain = hashlib.sha256(b"POST /api/v1/secrets?\n" + body).digest()
    async with cast.engine.connect() as connection:
        [kept] = (await connection.execute(text("SELECT request_hash FROM idempotency_keys"))).all()
    assert bytes(kept.request_hash) != plain


async def test_the_trail_says_who_did_what_and_nothing_of_the_value(cast: Cast) -> None:
    await made(cast)
    await cast.maya.put("/secrets/warehouse-password", {"value": "another value 9876"})
    await cast.maya.delete("/secrets/warehouse-password")
    entries = [(await trail(cast, f"secret.{what}"))[0] for what in ("created", "updated", "deleted")]
    assert {entry.resource_name for entry in entries} == {"warehouse-password"}
    assert len({entry.resource_id for entry in entries}) == 1
    assert entries[1].changes == {"version": {"old": 1, "new": 2}}
    assert not [entry for entry in entries if "tery" in str(entry.changes) or "9876" in str(entry.changes)]


# Two systems


class Away:
    """A store that does not answer until it does."""

    def __init__(self, store: SecretStore) -> None:
        self.store, self.away = store, True

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreAway("it cannot be reached")
        return getattr(self.store, name)


@pytest.fixture
def away(cast: Cast) -> Away:
    """The cast's store, gone for now."""
    away = Away(cast.services.secret_store)
    object.__setattr__(cast.services, "secret_store", away)
    return away


async def test_a_store_that_is_away_changes_nothing_and_the_same_request_may_try_again(cast: Cast, away: Away) -> None:
    key = {"Idempotency-Key": "once"}
    answer = await cast.maya.post("/secrets", secret(), headers=key)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert answer.json()["detail"].startswith("The secret store did not answer: it cannot be reached")
    assert (await cast.maya.get("/secrets")).json()["items"] == []
    assert [entry.outcome for entry in await trail(cast, "secret.created")] == ["allowed", "failed"]
    away.away = False
    assert (await cast.maya.post("/secrets", secret(), headers=key)).status_code == 201


async def test_a_new_value_that_cannot_be_stored_leaves_the_one_before(cast: Cast, away: Away) -> None:
    away.away = False
    await made(cast)
    away.away = True
    assert (await cast.maya.put("/secrets/warehouse-password", {"value": "another value"})).status_code == 503
    away.away = False
    assert (await cast.maya.get("/secrets/warehouse-password")).json()["last_four"] == "tery"
    assert (await cast.maya.put("/secrets/warehouse-password", {"value": "another value"})).json()["version"] == 2


async def versions(cast: Cast) -> list[int]:
    async with cast.engine.connect() as connection:
        return list((await connection.execute(select(secret_versions.c.version).order_by("version"))).scalars())


async def test_what_a_crash_cut_off_is_given_up_after_a_while_and_its_name_is_free(cast: Cast, away: Away) -> None:
    async def dies(*_: Any) -> Any:
        raise KeyboardInterrupt

    away.away = False
    away.store = type("Dying", (), {"put": dies, "find": away.store.find})()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        await cast.maya.post("/secrets", secret())
    assert (await cast.maya.post("/secrets", secret(value="other"))).status_code == 409
    async with cast.engine.begin() as connection:
        await connection.execute(text("UPDATE secret_versions SET begun_at = now() - interval '61 s'"))
    await secret_upkeep.keep(cast.services)
    assert await versions(cast) == []


async def test_values_go_when_no_run_that_has_them_is_left(cast: Cast) -> None:
    reading = StoredSecrets(cast.services.uow, cast.services.secret_store)
    await made(cast)
    job, run = await started(cast)
    assert (await reading.values(run, job, USING)).env == {"DB_PASSWORD": VALUE}
    await cast.maya.put("/secrets/warehouse-password", {"value": "a second value"})
    await cast.maya.put("/secrets/warehouse-password", {"value": "a third value"})
    await secret_upkeep.keep(cast.services)
    assert await versions(cast) == [1, 3]
    await cast.maya.delete("/secrets/warehouse-password?force=true")
    await secret_upkeep.keep(cast.services)
    assert await versions(cast) == [1]
    assert await reading.given(run) == {VALUE}
    async with cast.engine.begin() as connection:
        await connection.execute(text("UPDATE executions SET status = 'success' WHERE id = :id"), {"id": run})
    await secret_upkeep.keep(cast.services)
    assert await versions(cast) == []
    assert await reading.given(run) == set()


async def test_the_secrets_of_somebody_who_is_erased_go_the_same_way(cast: Cast) -> None:
    await made(cast)
    async with cast.engine.begin() as connection:
        await connection.execute(text("UPDATE secrets SET deleted_at = now()"))
    await secret_upkeep.keep(cast.services)
    assert await versions(cast) == []


async def started(cast: Cast) -> tuple[UUID, UUID]:
    """A job of Maya's that uses the secret, and a run of it."""
    job = (await cast.maya.post("/jobs", hello(secrets=USING))).json()["job_id"]
    return UUID(job), UUID((await cast.maya.post(f"/jobs/{job}/run")).json()["execution_id"])


async def test_a_worker_gets_what_the_job_may_use_now_and_masks_all_that_the_run_was_given(cast: Cast) -> None:
    reading = StoredSecrets(cast.services.uow, cast.services.secret_store)
    await made(cast, scope="team", value="the team's value")
    job, run = await started(cast)
    assert (await reading.values(run, job, USING)).env == {"DB_PASSWORD": "the team's value"}
    await made(cast, value="her own value")
    assert (await reading.values(run, job, USING)).env == {"DB_PASSWORD": "her own value"}
    await cast.maya.put("/secrets/warehouse-password", {"value": "her new value"})
    await cast.maya.delete("/secrets/warehouse-password?force=true&scope=own")
    assert (await reading.values(run, job, USING)).env == {"DB_PASSWORD": "the team's value"}
    assert await reading.given(run) == {"the team's value", "her own value"}


async def test_a_run_goes_on_being_masked_when_its_job_is_given_to_somebody_else(cast: Cast) -> None:
    reading = StoredSecrets(cast.services.uow, cast.services.secret_store)
    await made(cast)
    job, run = await started(cast)
    await reading.values(run, job, USING)
    async with cast.engine.begin() as connection:
        nadia = select(users.c.id).where(users.c.email == "nadia@example.com").scalar_subquery()
        await connection.execute(update(jobs).values(owner_id=nadia))
    assert await reading.given(run) == {VALUE}
    with pytest.raises(SecretsUnavailable, match="There is no secret warehouse-password that the owner"):
        await reading.values(run, job, USING)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET role = 'team_viewer' WHERE email = 'maya@example.com'",
        "UPDATE users SET team_id = (SELECT id FROM teams WHERE name = 'platform') WHERE email = 'maya@example.com'",
        "UPDATE jobs SET team_id = (SELECT id FROM teams WHERE name = 'platform')",
        "UPDATE secrets SET deleted_at = now()",
        "UPDATE secrets SET version = 0",
    ],
)
async def test_what_the_owner_may_not_use_any_more_is_not_given_at_the_next_start(cast: Cast, change: str) -> None:
    reading = StoredSecrets(cast.services.uow, cast.services.secret_store)
    await made(cast, "nadia", scope="team")
    job, run = await started(cast)
    assert (await reading.values(run, job, USING)).env == {"DB_PASSWORD": VALUE}
    async with cast.engine.begin() as connection:
        await connection.execute(text(change))
    with pytest.raises(SecretsUnavailable):
        await reading.values(run, job, USING)


async def test_a_database_that_is_away_is_a_store_that_is_away(cast: Cast) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[Any]:
        raise Unavailable("The database cannot be reached for now; try again.")
        yield

    reading = StoredSecrets(away, cast.services.secret_store)
    with pytest.raises(StoreAway, match="The secret store did not answer: The database cannot be reached"):
        await reading.values(UUID(int=1), UUID(int=2), USING)
