"""Executions for tests, as a worker would have left them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import attempts, executions, prefect_reports
from platform_api.ports.reports import ReportKind
from tests.cast import Actor, hello

#: Whole hours and minutes are easy to read in a failed test.
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
WORKER = UUID(int=7)


async def a_job(actor: Actor, **changed: Any) -> UUID:
    """A job of the actor's with a name of its own."""
    response = await actor.post("/jobs", hello(**({"name": f"job {uuid.uuid4()}"} | changed)))
    assert response.status_code == 201, response.text
    return UUID(response.json()["job_id"])


async def an_execution_of(engine: AsyncEngine, job_id: UUID, status: str = "success", **values: Any) -> UUID:
    """An execution with its one attempt; a success of a minute's length at noon unless ``values`` say otherwise."""
    row: dict[str, Any] = {
        "id": uuid.uuid4(),
        "job_id": job_id,
        "job_version": 1,
        "pool": "local",
        "status": status,
        "triggered_by": "scheduled",
        "due_at": NOON,
        "queued_at": NOON,
        "exclusive": False,
        "worker_id": WORKER,
    }
    if status not in ("queued", "skipped"):
        row["started_at"] = NOON
    if status not in ("queued", "running", "retrying"):
        row["ended_at"] = NOON + timedelta(seconds=60)
    row |= values
    async with engine.begin() as connection:
        await connection.execute(insert(executions).values(row))
        if row.get("started_at"):
            attempt_status = "failed" if status == "retrying" else status
            attempt = {name: row.get(name) for name in ("started_at", "ended_at", "exit_code", "error_message")}
            await connection.execute(
                insert(attempts).values(execution_id=row["id"], attempt=1, status=attempt_status, **attempt)
            )
    made: UUID = row["id"]
    return made


async def stored(engine: AsyncEngine, execution_id: UUID | str) -> Any:
    """The execution's row as it is now."""
    async with engine.connect() as connection:
        return (await connection.execute(select(executions).where(executions.c.id == execution_id))).one()


async def reported(engine: AsyncEngine, execution_id: UUID | str) -> list[tuple[str, str | None]]:
    """What Prefect is still to be told about it."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(prefect_reports.c.kind, prefect_reports.c.state_name)
            .where(prefect_reports.c.execution_id == execution_id)
            .order_by(prefect_reports.c.id)
        )
        return [(ReportKind(kind).value, state) for kind, state in rows]


async def audited(actor: Actor, **wanted: str) -> list[dict[str, Any]]:
    """The entries of the audit trail, newest first."""
    response = await actor.get("/audit-logs", params=wanted)
    assert response.status_code == 200, response.text
    return list(response.json()["items"])
