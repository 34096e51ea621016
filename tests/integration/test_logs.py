"""Logs over HTTP: pages, text byte for byte, and the live stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from sqlalchemy import update

from platform_api.db.schema import executions
from platform_api.db.signals import PostgresSignals
from platform_api.db.unit_of_work import units_of_work
from platform_api.embedded.postgres import free_port
from platform_api.main import create_app
from platform_api.ports.signals import Channel
from platform_api.use_cases import logs
from tests.cast import Cast
from tests.history import WORKER, a_job, an_execution_of
from tests.logs import chunk

UNTIDY = [b"plain", b"\x00 and \xff\xfe", b"\x1b[31mred\x1b[0m", b"", "Größe".encode()]


async def written(cast: Cast, execution: UUID, first: int, lines: list[bytes], attempt: int = 1) -> None:
    assert await cast.services.logs.append([chunk(execution, first, lines, attempt)], worker_id=WORKER)


async def ended(cast: Cast, execution: UUID, status: str = "success", exit_code: int | None = 0) -> None:
    async with cast.engine.begin() as connection:
        await connection.execute(
            update(executions).where(executions.c.id == execution).values(status=status, exit_code=exit_code)
        )
    async with units_of_work(cast.engine)() as uow:
        await uow.notify(Channel.EXECUTION, str(execution))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for belongs to others and tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def running(cast: Cast) -> UUID:
    return await an_execution_of(cast.engine, await a_job(cast.maya), "running")


@pytest.fixture(params=[False, True], ids=["live", "archived"])
async def ten_lines(request: pytest.FixtureRequest, cast: Cast, running: UUID) -> UUID:
    await written(cast, running, 0, [b"line %d" % number for number in range(6)])
    await written(cast, running, 6, [b"line %d" % number for number in range(6, 10)], attempt=2)
    if request.param:
        await ended(cast, running)
        await cast.services.logs.archive(running)
    return running


async def lines(cast: Cast, execution: UUID, query: str) -> list[str]:
    response = await cast.maya.get(f"/executions/{execution}/logs{query}")
    assert response.status_code == 200, response.text
    return [item["line"] for item in response.json()["items"]]


async def test_a_line_has_the_fields_of_the_contract(cast: Cast, ten_lines: UUID) -> None:
    page = (await cast.maya.get(f"/executions/{ten_lines}/logs?limit=1")).json()
    assert page["items"] == [
        {"number": 0, "timestamp": "2023-11-14T22:13:20Z", "stream": "stdout", "attempt": 1, "line": "line 0"}
    ]


async def test_pages_follow_each_other(cast: Cast, ten_lines: UUID) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = f"?limit=4&cursor={cursor}" if cursor else "?limit=4"
        page = (await cast.maya.get(f"/executions/{ten_lines}/logs{query}")).json()
        seen += [item["line"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"line {number}" for number in range(10)]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        *(("", range(10)), ("?tail=3", (7, 8, 9)), ("?q=LINE%204", (4,)), ("?attempt=2", range(6, 10))),
        *(("?attempt=3", ()), ("?tail=2&attempt=1", (4, 5)), ("?q=line&attempt=1&limit=2", (0, 1)), ("?q=absent", ())),
    ],
)
async def test_parts_of_a_log(cast: Cast, ten_lines: UUID, query: str, numbers: Any) -> None:
    assert await lines(cast, ten_lines, query) == [f"line {number}" for number in numbers]


@pytest.mark.parametrize(
    "query", ["?tail=0", "?tail=10001", "?limit=0", "?cursor=x", "?cursor=WyJhIl0", "?attempt=0", "?colour=red"]
)
async def test_what_cannot_be_meant_is_refused(cast: Cast, running: UUID, query: str) -> None:
    assert (await cast.maya.get(f"/executions/{running}/logs{query}")).status_code == 400


class TestText:
    """As the script wrote it."""

    @pytest.mark.parametrize("archived", [False, True], ids=["live", "archived"])
    async def test_a_download_is_byte_for_byte(self, cast: Cast, running: UUID, archived: bool) -> None:
        await written(cast, running, 0, UNTIDY)
        if archived:
            await ended(cast, running)
            await cast.services.logs.archive(running)
        response = await cast.maya.get(f"/executions/{running}/logs?download=1")
        assert response.content == b"".join(line + b"\n" for line in UNTIDY)
        assert response.headers["content-disposition"] == f'attachment; filename="execution-{running}.log"'
        assert response.headers["content-type"] == "text/plain; charset=utf-8"

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("text/plain", "text/plain"),
            ("text/plain, */*;q=0.1", "text/plain"),
            ("application/json, text/plain, */*", "application/json"),
            ("text/plain;q=0.5, application/json", "application/json"),
            ("*/*", "application/json"),
            ("text/plain;q=x", "application/json"),
        ],
    )
    async def test_the_client_says_which_it_likes(self, cast: Cast, running: UUID, accept: str, kind: str) -> None:
        response = await cast.maya.get(f"/executions/{running}/logs", headers={"Accept": accept})
        assert response.headers["content-type"].startswith(kind)
        assert response.headers["vary"] == "Accept"

    @pytest.mark.parametrize(
        ("query", "numbers"), [("tail=2", (8, 9)), ("q=line%203", (3,)), ("attempt=2", (6, 7, 8, 9))]
    )
    async def test_parts_of_it(self, cast: Cast, ten_lines: UUID, query: str, numbers: tuple[int, ...]) -> None:
        response = await cast.maya.get(f"/executions/{ten_lines}/logs?download=1&{query}")
        assert response.text == "".join(f"line {number}\n" for number in numbers)

    async def test_a_search_goes_on_over_pages(self, cast: Cast, ten_lines: UUID) -> None:
        response = await cast.maya.get(f"/executions/{ten_lines}/logs?download=1&q=line&limit=3")
        assert len(response.text.splitlines()) == 10

    async def test_a_lost_archive_is_told(self, cast: Cast, running: UUID) -> None:
        await written(cast, running, 0, [b"a"])
        await ended(cast, running)
        await cast.services.logs.archive(running)
        for file in cast.services.settings.archive_folder.rglob("*.gz"):
            file.unlink()
        for query in ("", "?download=1"):
            response = await cast.maya.get(f"/executions/{running}/logs{query}")
            assert (response.status_code, response.headers["retry-after"]) == (503, "60")


@dataclass
class Event:
    """One server-sent event."""

    name: str = ""
    id: str = ""
    data: Any = None


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    event = Event()
    async for row in response.aiter_lines():
        name, _, value = row.partition(": ")
        if row == "" and event.name:
            yield event
            event = Event()
        elif name == "event":
            event.name = value
        elif name == "id":
            event.id = value
        elif name == "data":
            event.data = json.loads(value)


class TestStream:
    """A real server, so that events leave as they come."""

    @pytest.fixture
    async def address(self, cast: Cast) -> AsyncIterator[str]:
        port = free_port()
        app = create_app(cast.services.settings, cast.services)
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server._serve())
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{port}/api/v1"
        server.should_exit = True
        await serving
        assert isinstance(cast.services.signals, PostgresSignals)
        await cast.services.signals.close()

    @asynccontextmanager
    async def stream(self, cast: Cast, address: str, execution: UUID, **headers: str) -> AsyncIterator[httpx.Response]:
        headers |= {"X-API-Key": cast.maya.key or ""}
        async with (
            asyncio.timeout(20),
            httpx.AsyncClient(trust_env=False) as client,
            client.stream(
                "GET", f"{address}/executions/{execution}/logs/stream", headers=headers, timeout=20
            ) as response,
        ):
            yield response

    async def test_lines_come_as_they_are_written_and_the_verdict_last(
        self, cast: Cast, address: str, running: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Nothing but a wake-up brings them.
        monkeypatch.setattr(logs, "LONGEST_SLEEP_SECONDS", 3600.0)
        await written(cast, running, 0, [b"first"])
        async with self.stream(cast, address, running) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = events(response)
            seen = [await anext(stream)]
            for number in (1, 2):
                await written(cast, running, number, [b"line %d" % number], attempt=number)
                seen.append(await anext(stream))
            await ended(cast, running, "failed", 3)
            verdict = await anext(stream)
            assert [event async for event in stream] == []
        assert [(e.name, e.id, e.data["line"], e.data["attempt"]) for e in seen] == [
            ("line", "0", "first", 1),
            ("line", "1", "line 1", 1),
            ("line", "2", "line 2", 2),
        ]
        assert set(seen[0].data) == {"timestamp", "stream", "attempt", "line"}
        assert (verdict.name, verdict.data) == ("status", {"status": "failed", "exit_code": 3})

    async def test_a_finished_execution_is_replayed_from_where_the_reader_was(
        self, cast: Cast, address: str, running: UUID
    ) -> None:
        await written(cast, running, 0, [b"%d" % number for number in range(3000)])
        await ended(cast, running)
        await cast.services.logs.archive(running)
        async with self.stream(cast, address, running, **{"Last-Event-ID": "1499"}) as response:
            seen = [event async for event in events(response)]
        assert [event.id for event in seen[:-1]] == [str(number) for number in range(1500, 3000)]
        assert seen[-1].data == {"status": "success", "exit_code": 0}

    async def test_a_reader_who_leaves_is_let_go(self, cast: Cast, address: str, running: UUID) -> None:
        assert isinstance(cast.services.signals, PostgresSignals)
        await written(cast, running, 0, [b"first"])
        async with self.stream(cast, address, running) as response:
            await anext(events(response))
        subscriptions = cast.services.signals._subscriptions
        await until(lambda: not subscriptions)

    async def test_many_readers_of_one_log_hold_no_connection_each(
        self, cast: Cast, address: str, running: UUID
    ) -> None:
        async def read() -> str:
            async with self.stream(cast, address, running) as response:
                return str([event async for event in events(response)][-1].data["status"])

        readers = [asyncio.create_task(read()) for _ in range(30)]
        await written(cast, running, 0, [b"first"])
        await ended(cast, running)
        assert await asyncio.gather(*readers) == ["success"] * 30

    @pytest.mark.parametrize("last", ["x", "-1", "1" * 19])
    async def test_an_unknown_last_event_is_refused(self, cast: Cast, running: UUID, last: str) -> None:
        response = await cast.maya.get(f"/executions/{running}/logs/stream", headers={"Last-Event-ID": last})
        assert response.status_code == 400
