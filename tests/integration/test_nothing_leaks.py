"""What others have changes no answer: the same questions are asked before Maya has anything and after."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, select, update

from platform_api.db.schema import users
from tests.cast import Actor, Cast, hello
from tests.history import a_job, an_execution_of

MAYAS_WORD = "xylophone"

#: Method, path and body of questions about Maya's things; ids and the rest of the answer are compared.
PROBES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/jobs", None),
    ("GET", "/jobs?limit=1", None),
    ("GET", f"/jobs?q={MAYAS_WORD}", None),
    ("GET", "/jobs?q=%25", None),
    ("GET", "/jobs?owner=maya@example.com", None),
    ("GET", "/jobs?team=devops", None),
    ("GET", f"/jobs?tag={MAYAS_WORD}", None),
    ("GET", "/jobs?status=active", None),
    ("GET", "/jobs?status=deleted", None),
    ("GET", "/jobs?type=python", None),
    ("GET", "/jobs?last_status=failed", None),
    ("GET", "/jobs?sort=-created_at", None),
    ("GET", "/jobs?sort=-name&limit=1", None),
    ("GET", "/jobs/{job}", None),
    ("PUT", "/jobs/{job}", hello()),
    ("PATCH", "/jobs/{job}", {"owner": "rajesh@example.com"}),
    ("PATCH", "/jobs/{job}", {"schedule": "nonsense"}),
    ("DELETE", "/jobs/{job}", None),
    ("POST", "/jobs/{job}/run", None),
    ("POST", "/jobs/{job}/run", {"arguments": [5]}),
    ("POST", "/jobs/{job}/clone", None),
    ("POST", "/jobs/{job}/clone", {"name": f"the {MAYAS_WORD}"}),
    ("POST", "/jobs/{job}/enable", None),
    ("POST", "/jobs/{job}/rollback", {"version": 1}),
    ("GET", "/jobs/{job}/metrics", None),
    ("GET", "/jobs/{job}/executions", None),
    ("GET", "/jobs/{job}/executions?status=failed", None),
    ("GET", "/jobs/{job}/versions", None),
    ("GET", "/jobs/{job}/versions/1/diff/1", None),
    ("GET", "/executions", None),
    ("GET", "/executions?job_id={job}", None),
    ("GET", "/executions?owner=maya@example.com", None),
    ("GET", "/executions?team=devops", None),
    ("GET", "/executions?status=failed", None),
    ("GET", "/executions?format=csv", None),
    ("GET", "/executions/export", None),
    ("GET", "/executions/export?team=devops", None),
    ("GET", "/executions/{run}", None),
    ("GET", "/executions/{run}/logs", None),
    ("GET", "/executions/{run}/logs?q=x", None),
    ("GET", "/executions/{run}/logs?download=1", None),
    ("GET", "/executions/{run}/logs/stream", None),
    ("POST", "/executions/{run}/cancel", None),
    ("POST", "/executions/{run}/retry", None),
    ("GET", "/dead-letters", None),
    ("POST", "/dead-letters/{run}/replay", None),
    ("DELETE", "/dead-letters/{run}", None),
    ("GET", "/dashboard", None),
    ("GET", "/dashboard?team=devops", None),
    ("GET", "/users", None),
    ("GET", "/users?q=maya", None),
    ("GET", "/users/{user}", None),
    ("PUT", "/users/{user}", {"role": "admin"}),
    ("GET", "/users/{user}/export", None),
    ("DELETE", "/users/{user}", None),
    ("GET", "/teams", None),
    ("GET", "/audit-logs", None),
)


async def answers(person: Actor, names: dict[str, str]) -> dict[str, Any]:
    """What the person gets to see, without what is different in any two requests."""
    seen = {}
    for number, (method, path, body) in enumerate(PROBES):
        sent = {"json": body} if body is not None else {}
        # The same key as Maya used: whose it is must not show either.
        headers = {"Idempotency-Key": f"key {number}"} if method == "POST" else {}
        answer = await person.request(method, path.format(**names), headers=headers, **sent)
        seen[f"{number} {method} {path}"] = (answer.status_code, told(answer.headers), stripped(answer.text, names))
    return seen


def told(headers: Any) -> dict[str, str]:
    passing = ("x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset", "date", "content-length")
    return {name: value for name, value in headers.items() if name not in passing}


def stripped(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(value, name)
    return re.sub(r'"request_id": ?"[^"]+"', "", text)


@pytest.mark.parametrize("who", ["rajesh", "nadia"])
async def test_no_answer_tells_whether_maya_has_anything(cast: Cast, who: str) -> None:
    person = cast.named(who)
    await person.post("/jobs", hello(name="mine"))
    nothing = {"job": str(uuid4()), "run": str(uuid4()), "user": str(uuid4())}
    before = await answers(person, nothing)
    job = await a_job(cast.maya, name=f"the {MAYAS_WORD}", tags=[MAYAS_WORD], description=MAYAS_WORD)
    run = await an_execution_of(cast.engine, job, "failed")
    for number in range(len(PROBES)):
        await cast.maya.post("/jobs/validate", hello(), headers={"Idempotency-Key": f"key {number}"})
    await cast.maya.post(f"/jobs/{await a_job(cast.maya)}/clone", headers={"Idempotency-Key": "key 20"})
    user = (await cast.maya.get("/users/me")).json()["id"]
    after = await answers(person, {"job": str(job), "run": str(run), "user": user})
    assert {probe: (before[probe], after[probe]) for probe in before if before[probe] != after[probe]} == {}


async def test_there_is_something_to_leak(cast: Cast) -> None:
    await a_job(cast.maya, name=f"the {MAYAS_WORD}", tags=[MAYAS_WORD])
    for path in (f"/jobs?q={MAYAS_WORD}", f"/jobs?tag={MAYAS_WORD}", "/jobs?team=devops"):
        assert MAYAS_WORD in (await cast.chris.get(path)).text


async def test_a_name_that_another_team_uses_is_free(cast: Cast) -> None:
    assert (await cast.maya.post("/jobs", hello())).status_code == 201
    assert (await cast.rajesh.post("/jobs", hello())).status_code == 201


async def test_a_copys_name_says_nothing_about_other_teams(cast: Cast) -> None:
    await cast.maya.post("/jobs", hello(name="Hello (copy)"))
    mine = (await cast.rajesh.post("/jobs", hello())).json()["job_id"]
    assert (await cast.rajesh.post(f"/jobs/{mine}/clone")).json()["name"] == "Hello (copy)"


async def test_pages_end_where_ones_own_things_end(cast: Cast) -> None:
    for number in range(3):
        await a_job(cast.maya, name=f"a {number}")
    await a_job(cast.rajesh, name="b")
    page = (await cast.rajesh.get("/jobs?limit=1")).json()
    assert ([job["name"] for job in page["items"]], page["next_cursor"]) == (["b"], None)


async def test_a_cursor_of_somebody_elses_list_shows_nothing_of_it(cast: Cast) -> None:
    for number in range(3):
        await a_job(cast.maya, name=f"a {number}")
    cursor = (await cast.maya.get("/jobs?limit=1")).json()["next_cursor"]
    assert (await cast.rajesh.get("/jobs", params={"cursor": cursor})).json()["items"] == []


async def test_every_wrong_key_costs_the_same_work(cast: Cast) -> None:
    assert cast.maya.key is not None
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(cast.engine.sync_engine, "before_cursor_execute", note)
    seen = []
    for key in ("jp_unknown", cast.maya.key[:-1] + "x", cast.maya.key[:10], "nothing like a key", "j"):
        statements.clear()
        answer = await cast.stranger.client.get("/api/v1/users/me", headers={"X-API-Key": key})
        seen.append((answer.status_code, answer.json()["detail"], tuple(statements)))
    event.remove(cast.engine.sync_engine, "before_cursor_execute", note)
    assert len(seen[0][2]) >= 2
    assert len(set(seen)) == 1


async def test_an_inactive_person_looks_like_nobody_to_who_would_give_them_a_job(cast: Cast) -> None:
    job = await a_job(cast.maya)
    async with cast.engine.begin() as connection:
        await connection.execute(update(users).where(users.c.email == "nadia@example.com").values(is_active=False))
        assert (await connection.execute(select(users.c.id))).all()
    inactive = await cast.maya.patch(f"/jobs/{job}", {"owner": "nadia@example.com"})
    nobody = await cast.maya.patch(f"/jobs/{job}", {"owner": "nobody@example.com"})
    assert (inactive.status_code, inactive.json()["errors"]) == (nobody.status_code, nobody.json()["errors"])
