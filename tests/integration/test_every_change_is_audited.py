"""What an entry of the trail says of a change: who, what and in which request, and that the chain holds behind it.

That each door leaves the entry that it declares, and each refusal a denial, is tried in ``test_all_routes``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select, text

from platform_api.db.schema import audit_log
from tests.architecture.test_routes import OPERATIONS, QUESTIONS
from tests.cast import Cast, hello

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
}


async def _at(
    cast: Cast, make: Callable[[Cast], Awaitable[str]], method: str, path: str = "", body: Any = None
) -> Response:
    rest = {"json": body} if body is not None else {}
    return await cast.maya.request(method.upper(), f"{await make(cast)}{path}", **rest)


async def _of(cast: Cast, status: str, method: str, path: str) -> Response:
    return await cast.maya.request(method.upper(), path.format(await execution(cast, status)))


CHANGING = [
    (method, path.removeprefix("/api/v1"), operation["x-audit-action"])
    for method, path, operation in OPERATIONS
    if method != "get" and (method, path) not in QUESTIONS and (method, path.removeprefix("/api/v1")) in VISITS
]


def test_every_visit_is_to_a_door_that_changes_something() -> None:
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
    assert (entry.actor_email, entry.request_id) == ("maya@example.com", answer.headers["x-request-id"])
    assert entry.resource_id is not None
    assert (await cast.admin.get("/audit-logs/verify")).json()["valid"]


@pytest.mark.parametrize(("method", "path", "action"), CHANGING, ids=[f"{m} {p}" for m, p, _ in CHANGING])
async def test_a_refused_change_leaves_a_denial_in_its_place(cast: Cast, method: str, path: str, action: str) -> None:
    """Chris may look at Maya's jobs and change none; of keys everybody has their own."""
    if path == "/api-keys":
        pytest.skip("everybody may have keys; tests/integration/test_api_keys.py refuses what is too wide")
    address = path
    for place, make in {"{job_id}": job, "{key_id}": key, "{execution_id}": execution}.items():
        if place in path:
            address = path.replace(place, (await make(cast)).rpartition("/")[2])
    bodies = {"/jobs": hello(name="x"), "/rollback": {"version": 1}}
    body = next((body for end, body in bodies.items() if address.endswith(end)), None)
    if method in ("put", "patch"):
        body = hello(script="print(2)")
    before = await entries(cast)
    answer = await cast.chris.request(method.upper(), address, **({"json": body} if body is not None else {}))
    assert answer.status_code in (403, 404), answer.text
    [entry] = (await entries(cast))[len(before) :]
    assert (entry.action, entry.outcome, entry.actor_email) == ("access.denied", "denied", "chris@example.com")
