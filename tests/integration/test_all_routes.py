"""Every route is tried by everybody: the table is in ``tests.route_table``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import Response
from sqlalchemy import insert, select
from starlette.routing import BaseRoute, Match

from platform_api.audit.actions import Action
from platform_api.db.schema import api_keys, audit_log, executions, jobs, secrets, sessions, teams, users
from platform_api.identity.api_keys import new_key
from platform_api.identity.sessions import csrf_token_of, hash_token, new_token
from platform_api.main import create_app
from platform_api.web.session import CSRF_HEADER
from rbac.permissions import Permission
from rbac.scopes import SCOPE_OF, Scope
from tests.cast import Actor, Cast, settings_for_tests
from tests.history import a_job, an_execution_of
from tests.route_table import OPEN, ROWS, Row, a_secret

NAMES = [f"{row.method} {row.address}" for row in ROWS]


def routes(found: Sequence[Any] | None = None) -> Iterator[Any]:
    """All routes of the application, also those of included routers."""
    services: Any = object()
    for route in create_app(settings_for_tests(), services).routes if found is None else found:
        included = getattr(route, "effective_candidates", None)
        if included is not None:
            yield from routes(included())
        else:
            yield route


ROUTES = [(method, route) for route in routes() for method in sorted(route.methods - {"HEAD"})]


def row_of(method: str, route: Any) -> list[Row]:
    """The rows whose address leads to this route first."""
    return [row for row in ROWS if row.method == method and first_match(row) is route.path]


def first_match(row: Row) -> str | None:
    path = re.sub(r"\{\w+\}", str(UUID(int=1)), row.address.partition("?")[0])
    path = re.sub(r"(versions|diff)/[0-9a-f-]{36}", r"\1/1", path)
    scope = {"type": "http", "method": row.method, "path": path, "headers": []}
    for method, route in ROUTES:
        starlette_route: BaseRoute = getattr(route, "starlette_route", None) or route
        if method == row.method and starlette_route.matches(scope)[0] is Match.FULL:
            template: str = route.path
            return template
    return None


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=[f"{method} {route.path}" for method, route in ROUTES])
def test_a_route_has_one_row_that_says_what_it_declares(method: str, route: Any) -> None:
    declared = getattr(route, "openapi_extra", None) or {}
    if "x-permission" not in declared:
        assert route.path in OPEN, "declare a permission, or say in OPEN why nobody is asked"
        return
    [row] = row_of(method, route)
    assert (row.permission, row.action) == (
        Permission(declared["x-permission"]),
        Action(declared["x-audit-action"]) if "x-audit-action" in declared else None,
    )


def test_no_row_is_about_a_route_that_is_gone() -> None:
    assert [name for name, row in zip(NAMES, ROWS, strict=True) if first_match(row) is None] == []
    assert set(OPEN) <= {route.path for _, route in ROUTES}


def test_at_least_half_of_the_table_are_denials() -> None:
    assert sum(len(row.refused) for row in ROWS) >= sum(len(row.expected) for row in ROWS) / 2


def test_what_changes_something_leaves_an_entry() -> None:
    assert [row for row in ROWS if row.method not in ("GET", "POST") and row.action is None] == []


@dataclass
class Things:
    """What the addresses name, made when it is asked for: all of it Maya's."""

    cast: Cast

    async def address(self, row: Row) -> str:
        """The row's address with ids in it."""
        names = re.findall(r"\{(\w+)\}", row.address)
        return row.address.format(**{name: await self._make(name) for name in names})

    async def _make(self, name: str) -> str:
        if name in ("version", "old", "new"):
            return "1"
        maker = getattr(self, f"_{name}")
        return str(await maker())

    async def _job_id(self) -> UUID:
        job = await a_job(self.cast.maya, status="disabled")
        # A second version, so that going back to the first changes something.
        await self.cast.maya.patch(f"/jobs/{job}", {"tags": ["second"]})
        return job

    async def _active(self) -> UUID:
        return await a_job(self.cast.maya)

    async def _done(self) -> UUID:
        return await an_execution_of(self.cast.engine, await a_job(self.cast.maya))

    async def _failed(self) -> UUID:
        return await an_execution_of(self.cast.engine, await a_job(self.cast.maya), "failed")

    async def _queued(self) -> UUID:
        return await an_execution_of(self.cast.engine, await a_job(self.cast.maya), "queued")

    async def _user_id(self) -> UUID:
        return UUID((await self.cast.maya.get("/users/me")).json()["id"])

    async def _leaver(self) -> UUID:
        """A mate of Maya's, whom nobody here is."""
        row = {"id": uuid4(), "email": f"{uuid4()}@example.com", "display_name": "L", "role": "job_creator"}
        async with self.cast.engine.begin() as connection:
            devops = select(teams.c.id).where(teams.c.name == "devops").scalar_subquery()
            await connection.execute(insert(users).values(**row, team_id=devops))
        return UUID(str(row["id"]))

    async def _key(self) -> UUID:
        return UUID((await self.cast.maya.post("/api-keys", {"name": "ci"})).json()["id"])

    async def _secret(self) -> str:
        answer = await self.cast.maya.post("/secrets", a_secret(f"secret-{uuid4()}"))
        return str(answer.json()["name"])

    async def _empty_team(self) -> UUID:
        return UUID((await self.cast.admin.post("/teams", {"name": f"team {uuid4()}"})).json()["id"])


async def actor(cast: Cast, who: str, permission: Permission) -> Actor:
    """The person of a column."""
    people = {"owner": cast.maya, "mate": cast.nadia, "viewer": cast.chris, "other": cast.rajesh}
    if who == "expired":
        return await with_key(cast, "maya@example.com", ["*"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    if who == "narrow":
        return await with_key(cast, "admin@example.com", sorted(set(Scope) - {SCOPE_OF.get(permission)}))
    return people.get(who) or cast.named(who)


async def with_key(cast: Cast, email: str, scopes: list[str], **values: Any) -> Actor:
    pepper = cast.services.settings.api_key_pepper
    assert pepper is not None
    key = new_key(pepper.get_secret_value())
    user_id = select(users.c.id).where(users.c.email == email).scalar_subquery()
    row = {"id": uuid4(), "name": "narrow", "prefix": key.prefix, "key_hash": key.key_hash, "scopes": scopes} | values
    async with cast.engine.begin() as connection:
        await connection.execute(insert(api_keys).values(**row, user_id=user_id))
    return Actor(email, key.plaintext, cast.maya.client)


async def attempt(cast: Cast, row: Row, who: str, address: str) -> Response:
    """One try at the address, with the credentials that its kind of route takes."""
    person = await actor(cast, who, row.permission)
    body = row.body(name=f"by {who}") if callable(row.body) else row.body
    if not row.is_api:
        return await at_a_page(cast, row, who, person.email, address)
    headers = {"X-API-Key": person.key} if person.key else {}
    sent = {"json": body} if body is not None else {}
    return await person.client.request(row.method, address, headers=headers, **sent)


async def at_a_page(cast: Cast, row: Row, who: str, email: str, address: str) -> Response:
    """The same with a session in the place of a key, and the session's anti-forgery token with what changes."""
    lasting = timedelta(seconds=-1) if who == "expired" else timedelta(minutes=9)
    token = None if who == "stranger" else await new_session(cast, email, lasting)
    headers = {"Cookie": f"job_platform_session={token}", CSRF_HEADER: csrf_token_of(token)} if token else {}
    sent = {"data": row.body} if row.body is not None else {}
    return await cast.maya.client.request(row.method, address, headers=headers, **sent)


async def new_session(cast: Cast, email: str, lasting: timedelta) -> str:
    """A session of that person's, as sign-in makes it."""
    token, now = new_token(), datetime.now(UTC)
    user_id = select(users.c.id).where(users.c.email == email).scalar_subquery()
    row = {"token_hash": hash_token(token), "created_at": now, "expires_at": now + lasting}
    async with cast.engine.begin() as connection:
        await connection.execute(insert(sessions).values(**row, user_id=user_id))
    return token


async def state(cast: Cast) -> list[Any]:
    """All that a refused change could have changed."""
    async with cast.engine.connect() as connection:
        tables = (
            select(jobs).order_by(jobs.c.id),
            select(executions).order_by(executions.c.id),
            select(users).order_by(users.c.id),
            select(teams).order_by(teams.c.id),
            select(secrets).order_by(secrets.c.id),
        )
        return [[tuple(row) for row in await connection.execute(query)] for query in tables]


async def entries(cast: Cast) -> list[tuple[str, str]]:
    async with cast.engine.connect() as connection:
        rows = await connection.execute(select(audit_log.c.action, audit_log.c.outcome).order_by(audit_log.c.id))
        return [(row.action, row.outcome) for row in rows]


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
async def test_everybody_gets_what_the_table_says(cast: Cast, row: Row) -> None:
    things = Things(cast)
    refused = row.refused
    address = await things.address(row)
    before, told = await state(cast), len(await entries(cast))
    got = {who: (await attempt(cast, row, who, address)).status_code for who in refused}
    assert got == {who: row.expected[who] for who in refused}
    assert await state(cast) == before, "somebody who was refused has changed something"
    recorded = (await entries(cast))[told:]
    # Without any credential there is nobody to name; each other refusal is in the trail.
    policy_said_no = sum(row.expected[who] in (403, 404) for who in refused)
    assert sum(entry == ("access.denied", "denied") for entry in recorded) == policy_said_no
    assert sum(entry == ("authentication.failed", "denied") for entry in recorded) == row.is_api * refused.count(
        "expired"
    )
    for who in (who for who in row.expected if who not in refused):
        told = len(await entries(cast))
        answer = await attempt(cast, row, who, await things.address(row))
        assert (who, answer.status_code) == (who, row.expected[who]), answer.text
        done = [action for action, outcome in (await entries(cast))[told:] if outcome == "allowed"]
        if row.action is not None:
            assert row.action.value in done
