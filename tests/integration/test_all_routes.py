"""Every route is tried by everybody: the tables are in ``tests.route_table`` and ``tests.page_table``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import Response
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.routing import BaseRoute, Match

from platform_api.audit.actions import Action
from platform_api.db.schema import api_keys, audit_log, executions, jobs, secrets, sessions, teams, users
from platform_api.identity.api_keys import new_key
from platform_api.identity.sessions import csrf_token_of, hash_token, new_token
from platform_api.main import create_app
from platform_api.web.session import CSRF_HEADER, SAFE_METHODS, cookie_name
from rbac.permissions import Permission
from rbac.scopes import SCOPE_OF, Scope
from tests.cast import Actor, Cast, assemble_cast, services_on, settings_for_tests
from tests.desks import OWN
from tests.page_table import DOORS, PAGES
from tests.pages import HTML
from tests.route_table import OPEN, ROWS, Row
from tests.things import Things

TABLE = (*ROWS, *PAGES)


def names(rows: Sequence[Row]) -> list[str]:
    """How the tests call their rows."""
    return [f"{row.method} {row.address}" for row in rows]


@pytest.fixture
async def cast(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Cast]:
    """Everybody; behind the door to Prefect there is nothing, for an administrator's tries would change it."""
    settings = settings_for_tests(home=tmp_path, prefect_api_url="http://127.0.0.1:9/api")
    cast = await assemble_cast(engine, services_on(engine, settings))
    yield cast
    await cast.maya.client.aclose()


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
    return [row for row in TABLE if row.method == method and first_match(row) is route.path]


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
    assert names([row for row in TABLE if first_match(row) is None]) == []
    assert set(OPEN) <= {route.path for _, route in ROUTES}


@pytest.mark.parametrize("rows", [ROWS, PAGES], ids=["api", "pages"])
def test_at_least_half_of_a_table_are_denials(rows: Sequence[Row]) -> None:
    assert sum(len(row.refused) for row in rows) >= sum(len(row.expected) for row in rows) / 2


def test_what_changes_something_leaves_an_entry() -> None:
    asking = {*SAFE_METHODS, "POST"}
    assert [row for row in ROWS if row.method not in asking and row.action is None] == []
    assert [row for row in PAGES if row.method not in SAFE_METHODS and row.action is None] == []


def test_to_load_a_page_changes_nothing() -> None:
    left = {row.action for row in PAGES if row.method in SAFE_METHODS} - {None}
    assert left == {Action.EXECUTION_EXPORTED, Action.AUDIT_EXPORTED, Action.USER_EXPORTED}


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


async def attempt(cast: Cast, row: Row, who: str) -> Response:
    """One try, with the credentials that its kind of route takes."""
    person = await actor(cast, who, row.permission)
    body = row.body(name=f"by {who}") if callable(row.body) else row.body
    if not row.is_api:
        return await at_a_page(cast, replace(row, body=body), who, person.email)
    headers = {"X-API-Key": person.key} if person.key else {}
    sent = {"json": body} if body is not None else {}
    return await person.client.request(row.method, row.address, headers=headers, **sent)


def honest(token: str) -> dict[str, str]:
    """What proves that a change comes from one of our pages."""
    return {CSRF_HEADER: csrf_token_of(token), **OWN}


async def at_a_page(
    cast: Cast, row: Row, who: str, email: str, proof: Callable[[str], dict[str, str]] = honest
) -> Response:
    """The same with a session in the place of a key, and with what changes the proof that it is ours."""
    lasting = timedelta(seconds=-1) if who == "expired" else timedelta(minutes=9)
    token = None if who == "stranger" else await new_session(cast, email, lasting)
    # Who opens one of Prefect's pages is led elsewhere (test_prefect_door); here its parts are asked for.
    headers = {} if row.address.startswith(DOORS) else dict(HTML)
    if token:
        headers |= {"Cookie": f"{cookie_name(cast.services.settings)}={token}"} | proof(token)
    sent = {"data": row.body} if row.body is not None else {}
    answer = await cast.maya.client.request(row.method, row.address, headers=headers, **sent)
    # The whole cast shares one client: what one is told must not reach the next.
    cast.maya.client.cookies.clear()
    return answer


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


@pytest.mark.parametrize("row", TABLE, ids=names(TABLE))
async def test_everybody_gets_what_the_table_says(cast: Cast, row: Row) -> None:
    things = Things(cast)
    refused = row.refused
    here = await things.in_place(row)
    before, told = await state(cast), len(await entries(cast))
    answers = {who: await attempt(cast, here, who) for who in refused}
    assert {who: answer.status_code for who, answer in answers.items()} == {who: row.expected[who] for who in refused}
    ways = [answer.headers["location"] for answer in answers.values() if answer.status_code == 303]
    assert all(way.startswith("/login") for way in ways)
    assert await state(cast) == before, "somebody who was refused has changed something"
    recorded = (await entries(cast))[told:]
    # Without any credential there is nobody to name; each other refusal is in the trail.
    policy_said_no = sum(row.expected[who] in (403, 404) for who in refused)
    assert sum(entry == ("access.denied", "denied") for entry in recorded) == policy_said_no
    assert sum(entry == ("authentication.failed", "denied") for entry in recorded) == row.is_api * refused.count(
        "expired"
    )
    for who in (who for who in row.expected if who not in refused):
        here = await things.in_place(row)
        told = len(await entries(cast))
        answer = await attempt(cast, here, who)
        assert (who, answer.status_code) == (who, row.expected[who]), answer.text
        done = [action for action, outcome in (await entries(cast))[told:] if outcome == "allowed"]
        if row.action is not None:
            assert row.action.value in done


CHANGES = [row for row in PAGES if row.method not in SAFE_METHODS]


def forgeries(row: Row) -> Iterator[dict[str, str]]:
    """What another site can have a browser send along with its session: none of it is the session's own proof."""
    yield {}
    yield {CSRF_HEADER: csrf_token_of(new_token())}
    if not row.address.startswith(DOORS):
        # Prefect's pages have no token: at their door the sender's origin alone is looked at.
        yield dict(OWN)
        yield {CSRF_HEADER: csrf_token_of(new_token()), **OWN}


@pytest.mark.parametrize("row", CHANGES, ids=names(CHANGES))
async def test_a_page_changes_nothing_without_the_sessions_own_proof(cast: Cast, row: Row) -> None:
    body = row.body(name="forged") if callable(row.body) else row.body
    here = await Things(cast).in_place(replace(row, body=body))
    before, told = await state(cast), len(await entries(cast))
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    proofs: list[Callable[[str], dict[str, str]]] = [
        *(lambda token, sent=sent: sent for sent in forgeries(row)),
        lambda token: honest(token) | elsewhere,
        lambda token: honest(token) | {"Origin": "null"},
    ]
    for proof in proofs:
        assert (await at_a_page(cast, here, "admin", cast.admin.email, proof)).status_code == 403
    assert await state(cast) == before
    assert (await entries(cast))[told:] == []
