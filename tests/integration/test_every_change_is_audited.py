"""What an entry of the trail says of a change: who, what and in which request, and that the chain holds behind it.

Each door is really gone through once. A new route under /api/v1 that is no GET needs a line in ``VISITS``; without one
this file fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select, text

from platform_api.db.schema import audit_log
from tests.architecture.test_routes import OPERATIONS, QUESTIONS
from tests.cast import Actor, Cast, hello

Visit = Callable[[Cast], Awaitable[Response]]


async def job(cast: Cast, **changed: Any) -> str:
    return f"/jobs/{(await cast.maya.post('/jobs', hello(**changed))).json()['job_id']}"


async def execution(cast: Cast, status: str = "queued") -> str:
    """One that has not begun, or one that ended so."""
    started = (await cast.maya.post(f"{await job(cast)}/run")).json()["execution_id"]
    if status != "queued":
        async with cast.engine.begin() as connection:
            change = text("UPDATE executions SET status = :status, ended_at = now() WHERE id = :id")
            await connection.execute(change, {"status": status, "id": started})
    return str(started)


async def rolled_back(cast: Cast) -> Response:
    path = await job(cast)
    await cast.maya.patch(path, {"tags": ["a"]})
    return await cast.maya.post(f"{path}/rollback", {"version": 1})


async def key(cast: Cast) -> str:
    return f"/api-keys/{(await cast.maya.post('/api-keys', {'name': 'ci'})).json()['id']}"


async def team(cast: Cast) -> str:
    return f"/teams/{(await cast.admin.post('/teams', {'name': 'emptied'})).json()['id']}"


async def account(cast: Cast) -> str:
    """Nadia's, who owns nothing."""
    return f"/users/{(await cast.nadia.get('/users/me')).json()['id']}"


async def secret(cast: Cast) -> str:
    return f"/secrets/{(await cast.maya.post('/secrets', SECRET)).json()['name']}"


#: Bodies by the end of an address or the kind of thing.
SECRET = {"name": "warehouse", "value": "correct horse", "scope": "own"}
CHANGES = {"users": {"viewer_of": ["platform"]}, "teams": {"name": "renamed"}, "secrets": {"value": "another one"}}


async def disabled(cast: Cast) -> str:
    path = await job(cast)
    await cast.maya.post(f"{path}/disable")
    return path


#: How each door is gone through.
VISITS: dict[tuple[str, str], Visit] = {
    ("post", "/jobs"): lambda cast: cast.maya.post("/jobs", hello()),
    ("put", "/jobs/{job_id}"): lambda cast: _at(cast, job, "put", "", hello(script="print(2)")),
    ("patch", "/jobs/{job_id}"): lambda cast: _at(cast, job, "patch", "", {"tags": ["a"]}),
    ("delete", "/jobs/{job_id}"): lambda cast: _at(cast, job, "delete"),
    ("post", "/jobs/{job_id}/enable"): lambda cast: _at(cast, disabled, "post", "/enable"),
    ("post", "/jobs/{job_id}/disable"): lambda cast: _at(cast, job, "post", "/disable"),
    ("post", "/jobs/{job_id}/clone"): lambda cast: _at(cast, job, "post", "/clone"),
    ("post", "/jobs/{job_id}/run"): lambda cast: _at(cast, job, "post", "/run"),
    ("post", "/jobs/{job_id}/rollback"): rolled_back,
    ("post", "/executions/{execution_id}/cancel"): lambda cast: _of(cast, "queued", "post", "/executions/{}/cancel"),
    ("post", "/executions/{execution_id}/retry"): lambda cast: _of(cast, "failed", "post", "/executions/{}/retry"),
    ("post", "/dead-letters/{execution_id}/replay"): lambda cast: _of(
        cast, "failed", "post", "/dead-letters/{}/replay"
    ),
    ("delete", "/dead-letters/{execution_id}"): lambda cast: _of(cast, "failed", "delete", "/dead-letters/{}"),
    ("post", "/api-keys"): lambda cast: cast.maya.post("/api-keys", {"name": "ci"}),
    ("post", "/api-keys/{key_id}/rotate"): lambda cast: _at(cast, key, "post", "/rotate"),
    ("delete", "/api-keys/{key_id}"): lambda cast: _at(cast, key, "delete"),
    ("post", "/secrets"): lambda cast: cast.maya.post("/secrets", SECRET),
    ("put", "/secrets/{name}"): lambda cast: _at(cast, secret, "put", "", CHANGES["secrets"]),
    ("delete", "/secrets/{name}"): lambda cast: _at(cast, secret, "delete"),
    ("put", "/users/{user_id}"): lambda cast: _at(cast, account, "put", "", CHANGES["users"]),
    ("delete", "/users/{user_id}"): lambda cast: _at(cast, account, "delete"),
    ("post", "/teams"): lambda cast: cast.admin.post("/teams", {"name": "new"}),
    ("put", "/teams/{team_id}"): lambda cast: _at(cast, team, "put", "", CHANGES["teams"]),
    ("delete", "/teams/{team_id}"): lambda cast: _at(cast, team, "delete"),
}


def who_may(cast: Cast, path: str) -> Actor:
    """Accounts and teams are the administrator's."""
    return cast.admin if path.startswith(("/users", "/teams")) else cast.maya


async def _at(
    cast: Cast, make: Callable[[Cast], Awaitable[str]], method: str, path: str = "", body: Any = None
) -> Response:
    rest = {"json": body} if body is not None else {}
    address = await make(cast)
    return await who_may(cast, address).request(method.upper(), f"{address}{path}", **rest)


async def _of(cast: Cast, status: str, method: str, path: str) -> Response:
    return await cast.maya.request(method.upper(), path.format(await execution(cast, status)))


CHANGING = [
    (method, path.removeprefix("/api/v1"), operation["x-audit-action"])
    for method, path, operation in OPERATIONS
    if method != "get" and (method, path) not in QUESTIONS
]


def test_every_door_that_changes_something_is_gone_through_below() -> None:
    assert {(method, path) for method, path, _ in CHANGING} == set(VISITS)


async def entries(cast: Cast) -> list[Any]:
    async with cast.engine.connect() as connection:
        return list(await connection.execute(select(audit_log).order_by(audit_log.c.id)))


@pytest.mark.parametrize(("method", "path", "action"), CHANGING, ids=[f"{m} {p}" for m, p, _ in CHANGING])
async def test_a_change_leaves_its_declared_entry_with_who_and_what(
    cast: Cast, method: str, path: str, action: str
) -> None:
    answer = await VISITS[method, path](cast)
    assert answer.is_success, answer.text
    entry = (await entries(cast))[-1]
    assert (entry.action, entry.outcome) == (action, "allowed")
    assert (entry.actor_email, entry.request_id) == (who_may(cast, path).email, answer.headers["x-request-id"])
    assert entry.resource_id is not None
    assert (await cast.admin.get("/audit-logs/verify")).json()["valid"]


@pytest.mark.parametrize(("method", "path", "action"), CHANGING, ids=[f"{m} {p}" for m, p, _ in CHANGING])
async def test_a_refused_change_leaves_a_denial_in_its_place(cast: Cast, method: str, path: str, action: str) -> None:
    """Chris may look at Maya's jobs and change none; of keys everybody has their own."""
    if path == "/api-keys":
        pytest.skip("everybody may have keys; tests/integration/test_api_keys.py refuses what is too wide")
    address = path
    makers = {"{job_id}": job, "{key_id}": key, "{execution_id}": execution}
    for place, make in (makers | {"{team_id}": team, "{user_id}": account, "{name}": secret}).items():
        if place in path:
            address = path.replace(place, (await make(cast)).rpartition("/")[2])
    bodies = {"/jobs": hello(name="x"), "/rollback": {"version": 1}, "/teams": {"name": "new"}, "/secrets": SECRET}
    body = next((body for end, body in bodies.items() if address.endswith(end)), None)
    if method in ("put", "patch"):
        body = CHANGES.get(path.split("/")[1], hello(script="print(2)"))
    before = await entries(cast)
    answer = await cast.chris.request(method.upper(), address, **({"json": body} if body is not None else {}))
    assert answer.status_code in (403, 404), answer.text
    [entry] = (await entries(cast))[len(before) :]
    assert (entry.action, entry.outcome, entry.actor_email) == ("access.denied", "denied", "chris@example.com")
