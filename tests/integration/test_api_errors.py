"""Every error is a problem document that says what is wrong, where, and which request it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from platform_api.rest.csv_rows import csv_line
from tests.cast import Cast, hello


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    """The answer is a whole problem document with this status."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(document)
    assert document["status"] == status
    assert document["instance"] == answer.request.url.path
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


async def test_each_kind_of_error_is_a_problem_document(cast: Cast) -> None:
    assert_problem(await cast.maya.post("/jobs", {}), 400)
    assert_problem(await cast.stranger.get("/jobs"), 401)
    assert_problem(await cast.maya.get("/audit-logs"), 403)
    assert_problem(await cast.maya.get("/nothing-here"), 404)
    assert_problem(await cast.maya.get("/jobs/00000000-0000-4000-8000-000000000000"), 404)
    assert "POST" in (await cast.maya.delete("/jobs/validate")).headers.get("allow", "POST")
    assert_problem(await cast.maya.request("TRACE", "/jobs"), 405)
    assert_problem(await cast.stranger.client.get("/nowhere"), 404)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b"{'a': 1}", b"\xff\xfe", b'{"a": 1}}', b"[" * 100_000],
)
async def test_a_body_that_is_no_json_object_is_a_400_naming_the_body(cast: Cast, content: bytes) -> None:
    answer = await cast.maya.request("POST", "/jobs", content=content, headers={"Content-Type": "application/json"})
    assert assert_problem(answer, 400)["errors"][0]["field"] == "body"


async def test_a_body_without_a_content_type_is_read_as_json(cast: Cast) -> None:
    answer = await cast.maya.request("POST", "/jobs", content=json.dumps(hello()).encode())
    assert answer.status_code == 201


async def test_a_body_over_one_mebibyte_is_refused_whether_or_not_it_says_so(cast: Cast) -> None:
    script = "#" * (1024 * 1024)
    assert_problem(await cast.maya.post("/jobs", hello(script=script)), 413)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    headers = {"Content-Type": "application/json"}
    assert_problem(await cast.maya.request("POST", "/jobs", content=pieces(), headers=headers), 413)
    fitting = hello(script="#" * (1024 * 1024 - 200))
    assert (await cast.maya.post("/jobs", fitting)).status_code == 201


@pytest.mark.parametrize("path", ["/jobs/x", "/jobs/00000000-0000-4000-8000-000000000000/versions/x"])
async def test_an_id_that_is_none_is_a_400_naming_it(cast: Cast, path: str) -> None:
    fault = assert_problem(await cast.maya.get(path), 400)["errors"][0]
    assert fault["field"] in ("job_id", "version")


async def test_a_clients_request_id_is_kept_if_it_is_one(cast: Cast) -> None:
    kept = await cast.maya.get("/users/me", headers={"X-Request-ID": "trace-1.2:3_4"})
    assert kept.headers["x-request-id"] == "trace-1.2:3_4"
    made = await cast.maya.get("/users/me", headers={"X-Request-ID": "no spaces, please"})
    assert UUID(made.headers["x-request-id"])


async def test_a_fault_of_ours_is_a_500_that_shows_nothing_of_its_inside(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("platform_api.rest.jobs.job_answer", broken)
    answer = await cast.maya.get("/jobs/00000000-0000-4000-8000-000000000000")
    assert answer.status_code == 404
    job = await cast.maya.post("/jobs", hello())
    document = assert_problem(job, 500)
    assert "secret" not in json.dumps(document)
    assert document["request_id"] in caplog.text


async def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(cast: Cast) -> None:
    await cast.engine.dispose()
    broken = cast.engine.url.set(port=1)
    from sqlalchemy.ext.asyncio import create_async_engine

    from platform_api.db.translation import translated
    from platform_api.db.unit_of_work import units_of_work
    from platform_api.domain.errors import Unavailable

    away = create_async_engine(broken)
    with pytest.raises(Unavailable, match="cannot be reached"):
        async with translated(units_of_work(away))() as uow:
            await uow.people.by_key_hash(b"x")
    await away.dispose()


async def test_the_openapi_document_is_3_1_and_its_page_loads_nothing_from_elsewhere(cast: Cast) -> None:
    client = cast.stranger.client
    document = (await client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    references = {piece.split('"')[0] for piece in text.split('"$ref": "#/components/schemas/')[1:]}
    assert references <= set(document["components"]["schemas"])
    body = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/JobBody"}
    assert (await client.get("/")).status_code == 303
    page = await client.get("/api/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    assert "<script>" not in page.text
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "start.js"):
        assert (await client.get(f"/api/docs/{name}")).status_code == 200
    older = (await client.get("/api/docs/openapi-3.0.json")).json()
    assert older["openapi"] == "3.0.3"
    assert '{"type": "null"}' not in json.dumps(older)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1"])
def test_a_formula_in_a_csv_cell_is_disarmed(cell: str) -> None:
    assert csv_line([cell]).strip('\r\n"').startswith("'")


def test_other_csv_cells_stay_as_they_are() -> None:
    assert csv_line(["a", None, -1, 1.5, 'say "hi", you']) == 'a,,-1,1.5,"say ""hi"", you"\r\n'
