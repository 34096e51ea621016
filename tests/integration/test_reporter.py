"""Prefect is told everything, in order, once; a real server is on the other end."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.reports import SqlLeadership
from platform_api.ports.reports import PENDING, RUNNING, PrefectState, Report, ReportKind
from tests.engine_room import Room, open_room
from tests.logs import chunk, frames
from tests.prefect_server import PrefectServer
from work_pools.cancels import Canceller
from work_pools.excerpts import CALL, MOST_WAITING, Excerpts
from work_pools.prefect_api import PrefectApi
from work_pools.reporter import Reporter

COMPLETED = PrefectState("COMPLETED", "Completed")


@pytest.fixture
async def room(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(engine, database_url, tmp_path) as room:
        yield room


class Desk:
    """A reporter with what a test asks of both of its sides."""

    def __init__(self, room: Room, client: httpx.AsyncClient) -> None:
        self.room = room
        self.client = client
        self.equipment = room.equipment()
        canceller = Canceller(self.equipment, None)  # type: ignore[arg-type]  # only its database side is used
        leadership = SqlLeadership(room.database)
        self.reporter = Reporter(self.equipment, leadership, PrefectApi(client), canceller)

    async def post(self, path: str, **body: Any) -> Any:
        return (await self.client.post(path, json=body)).raise_for_status().json()

    async def deployment(self) -> UUID:
        """A deployment in Prefect, with or without a job of ours."""
        flow = await self.post("flows/", name=f"flow-{uuid4()}")
        deployment = await self.post("deployments/", name="d", flow_id=flow["id"], enforce_parameter_schema=False)
        return UUID(deployment["id"])

    async def run(self, deployment: UUID | None = None) -> UUID:
        """An execution whose flow run is to be made."""
        job = await self.room.job()
        await self.room.run_sql(
            "UPDATE jobs SET prefect_deployment_id = :d WHERE id = :j", d=deployment or await self.deployment(), j=job
        )
        run = await self.room.run_by_hand(job)
        await self.add(Report(ReportKind.CREATE, run))
        return run

    async def add(self, *reports: Report) -> None:
        async with self.equipment.uow() as uow:
            await uow.reports.add(reports)

    async def send(self) -> None:
        while await self.reporter.round():
            pass

    async def shown(self, run: UUID) -> list[tuple[str, int]]:
        """What Prefect shows of the execution's log, once the reporter has nothing more to send."""
        await self.send()
        while await self.reporter.show_logs():
            pass
        flow_run = str((await self.room.execution(run))["prefect_flow_run_id"])
        logs = await self.post("logs/filter", logs={"flow_run_id": {"any_": [flow_run]}}, limit=200)
        return [(log["message"], log["level"]) for log in logs]

    async def write(self, run: UUID, lines: list[bytes], stream: str = "stdout") -> None:
        """Have the execution's log hold these lines."""
        worker = self.equipment.worker.id
        await self.room.run_sql("UPDATE executions SET worker_id = :w WHERE id = :id", w=worker, id=run)
        first, _, _ = await self.equipment.logs.resume_point(run, 1)
        written = replace(chunk(run, first, lines), frames=frames(lines, first, stream))
        await self.equipment.logs.append([written], worker_id=worker)

    async def history(self, run: UUID) -> list[str]:
        """The names of the states that the execution's flow run went through."""
        flow_run = (await self.room.execution(run))["prefect_flow_run_id"]
        states = (await self.client.get(f"flow_run_states/?flow_run_id={flow_run}")).raise_for_status().json()
        return [state["name"] for state in sorted(states, key=lambda state: state["timestamp"])]


@pytest.fixture
async def desk(room: Room, prefect_server: PrefectServer) -> AsyncIterator[Desk]:
    secret = base64.b64encode(prefect_server.auth_string.encode()).decode()
    async with httpx.AsyncClient(
        base_url=f"{prefect_server.api_url}/", headers={"Authorization": f"Basic {secret}"}, timeout=30, trust_env=False
    ) as client:
        yield Desk(room, client)


def state(run: UUID, state: PrefectState) -> Report:
    return Report(ReportKind.STATE, run, state=state)


async def test_a_run_and_its_retry_go_through_prefects_states_in_order(desk: Desk) -> None:
    run = await desk.run()
    later = datetime.now(UTC) + timedelta(minutes=5)
    retry = PrefectState("SCHEDULED", "AwaitingRetry", "Exit code 1", later)
    again = PrefectState("RUNNING", "Retrying")
    await desk.add(*(state(run, s) for s in (PENDING, RUNNING, retry, again, COMPLETED)))
    await desk.send()
    assert await desk.history(run) == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
    assert await desk.room.reports(run) == []


async def test_many_runs_are_told_together_and_each_arrives(desk: Desk) -> None:
    deployment = await desk.deployment()
    runs = [await desk.run(deployment) for _ in range(12)]
    await desk.add(*(state(run, s) for s in (RUNNING, COMPLETED) for run in runs))
    await desk.send()
    for run in runs:
        assert await desk.history(run) == ["Pending", "Running", "Completed"]


async def test_a_report_repeated_after_a_crash_changes_nothing(desk: Desk) -> None:
    run = await desk.run()
    await desk.add(state(run, RUNNING), state(run, COMPLETED))
    await desk.send()
    await desk.add(state(run, COMPLETED))
    await desk.room.run_sql("UPDATE prefect_reports SET tries = 1")
    await desk.send()
    assert await desk.history(run) == ["Pending", "Running", "Completed"]


async def test_a_run_cancelled_in_prefect_meanwhile_is_cancelled_here(desk: Desk) -> None:
    run = await desk.run()
    await desk.send()
    flow_run = (await desk.room.execution(run))["prefect_flow_run_id"]
    await desk.post(f"flow_runs/{flow_run}/set_state", state={"type": "CANCELLED", "name": "Cancelled"}, force=True)
    await desk.add(state(run, PENDING))
    await desk.send()
    execution = await desk.room.execution(run)
    assert (execution["status"], execution["reason"]) == ("cancelled", "Cancelled by an administrator in Prefect")


async def test_flow_runs_that_became_no_execution_are_deleted_or_cancelled(desk: Desk) -> None:
    deployment = await desk.deployment()
    doomed, loser = [UUID((await desk.post(f"deployments/{deployment}/create_flow_run"))["id"]) for _ in range(2)]
    cancelled = PrefectState("CANCELLED", "Cancelled", "Another run has this tick already")
    await desk.add(
        Report(ReportKind.DELETE, flow_run_id=doomed), Report(ReportKind.STATE, flow_run_id=loser, state=cancelled)
    )
    await desk.send()
    assert (await desk.client.get(f"flow_runs/{doomed}")).status_code == 404
    assert (await desk.client.get(f"flow_runs/{loser}")).json()["state_name"] == "Cancelled"


async def test_a_flow_run_that_somebody_deleted_holds_nothing_up(desk: Desk) -> None:
    run = await desk.run()
    await desk.send()
    flow_run = (await desk.room.execution(run))["prefect_flow_run_id"]
    (await desk.client.delete(f"flow_runs/{flow_run}")).raise_for_status()
    await desk.add(state(run, RUNNING), state(run, COMPLETED))
    await desk.send()
    assert await desk.room.reports(run) == []


async def test_a_prefect_that_is_away_keeps_every_report(room: Room) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://prefect/") as client:
        desk = Desk(room, client)
        run = await desk.room.run_by_hand(await room.job())
        await desk.add(Report(ReportKind.CREATE, run), state(run, RUNNING))
        assert not await desk.reporter.round()
        assert await room.reports(run) == ["create", "Running"]


class TestLogs:
    """Prefect shows a little of what a run wrote."""

    async def test_a_short_log_is_shown_when_the_run_is_over(self, desk: Desk) -> None:
        run = await desk.run()
        await desk.add(state(run, RUNNING))
        await desk.write(run, [b"hello", b"\x1b[31mNUL \0 and \xff"])
        await desk.write(run, [b"oh no"], "stderr")
        assert await desk.shown(run) == []
        await desk.add(state(run, COMPLETED))
        assert await desk.shown(run) == [("hello", 20), ("\x1b[31mNUL \ufffd and \ufffd", 20), ("oh no", 30)]
        assert len(await desk.shown(run)) == 3

    async def test_of_a_long_log_the_beginning_and_the_end_are_shown(self, desk: Desk) -> None:
        run = await desk.run()
        await desk.write(run, [b"%d" % number for number in range(1000)])
        await desk.write(run, [b"x" * 5000])
        await desk.add(state(run, COMPLETED))
        messages = [message for message, _ in await desk.shown(run)]
        address = f"http://127.0.0.1:8080/executions/{run}"
        between = f"[... 931 lines in between are at {address} ...]"
        assert sorted(messages) == sorted([*map(str, range(20)), between, *map(str, range(951, 1000)), "x" * 1000])

    async def test_a_burst_leaves_only_the_latest_to_be_shown(self, desk: Desk) -> None:
        excerpts = Excerpts(desk.equipment, PrefectApi(desk.client))
        for _ in range(3 * MOST_WAITING):
            excerpts.expect(uuid4(), uuid4())
        calls = 0
        while await excerpts.send():
            calls += 1
        assert calls == MOST_WAITING / CALL

    async def test_a_prefect_that_refuses_loses_them_and_nothing_else(self, room: Room) -> None:
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(lambda _: httpx.Response(503)), base_url="http://prefect/"
        ) as client:
            desk = Desk(room, client)
            run = await room.run_by_hand(await room.job())
            await desk.write(run, [b"hello"])
            excerpts = Excerpts(desk.equipment, PrefectApi(client))
            excerpts.expect(run, uuid4())
            assert await excerpts.send()
            assert not await excerpts.send()


async def test_one_process_at_a_time_reports(room: Room) -> None:
    leadership = SqlLeadership(room.database)
    async with leadership.reporting() as first:
        assert first is not None
        async with leadership.reporting() as second:
            assert second is None
    async with asyncio.timeout(5), leadership.reporting() as third:
        assert third is not None


async def test_a_tick_that_prefect_did_not_propose_gets_a_flow_run_that_says_when_it_was_due(desk: Desk) -> None:
    job = await desk.room.job()
    await desk.room.run_sql(
        "UPDATE jobs SET prefect_deployment_id = :d WHERE id = :j", d=await desk.deployment(), j=job
    )
    run = await desk.room.run_by_hand(job)
    tick = datetime(2026, 11, 22, 16, tzinfo=UTC)
    await desk.add(Report(ReportKind.CREATE, run, state=PrefectState("PENDING", "Pending", f"Due at {tick}", tick)))
    await desk.add(state(run, RUNNING), state(run, COMPLETED))
    await desk.send()
    assert await desk.history(run) == ["Pending", "Running", "Completed"]
    flow_run = (await desk.room.execution(run))["prefect_flow_run_id"]
    states = (await desk.client.get(f"flow_run_states/?flow_run_id={flow_run}")).raise_for_status().json()
    assert f"Due at {tick}" in [each["message"] for each in states]


async def test_a_flow_run_of_prefects_that_became_an_executions_own_is_told_its_states(desk: Desk) -> None:
    job, deployment = await desk.room.job(), await desk.deployment()
    tick = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    scheduled = {"type": "SCHEDULED", "state_details": {"scheduled_time": tick}}
    flow_run = UUID((await desk.post(f"deployments/{deployment}/create_flow_run", state=scheduled))["id"])
    run = await desk.room.run_by_hand(job)
    await desk.room.run_sql("UPDATE executions SET prefect_flow_run_id = :f WHERE id = :i", f=flow_run, i=run)
    await desk.add(state(run, RUNNING), state(run, COMPLETED))
    await desk.send()
    assert (await desk.history(run))[-2:] == ["Running", "Completed"]


async def test_a_job_without_a_deployment_keeps_no_other_report_waiting(desk: Desk) -> None:
    runs = [await desk.run() for _ in range(2)]
    await desk.room.run_sql(
        "UPDATE jobs SET prefect_deployment_id = NULL FROM executions e WHERE e.job_id = jobs.id AND e.id = :i",
        i=runs[0],
    )
    await desk.send()
    assert [await desk.room.reports(run) for run in runs] == [["create"], []]
