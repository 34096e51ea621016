"""Logs for tests: people, jobs and executions to hang them on, and chunks as a shipper writes them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import executions, jobs, teams, users
from platform_api.domain.log_frames import LogFrame, encode
from platform_api.ports.logs import LogChunk

START_US = 1_700_000_000_000_000


async def an_execution(engine: AsyncEngine, worker_id: UUID, **values: object) -> UUID:
    """A running execution of a job of its own, held by ``worker_id``."""
    team, user, job, execution = (uuid.uuid4() for _ in range(4))
    async with engine.begin() as connection:
        await connection.execute(insert(teams).values(id=team, name=f"team {team}"))
        await connection.execute(
            insert(users).values(id=user, email=f"{user}@example.com", display_name="", role="admin", team_id=team)
        )
        await connection.execute(
            insert(jobs).values(
                id=job, name="job", type="python", team_id=team, owner_id=user, status="active", version=1, spec={}
            )
        )
        row = {
            "id": execution,
            "job_id": job,
            "job_version": 1,
            "pool": "local",
            "status": "running",
            "triggered_by": "api",
            "due_at": datetime.now(UTC),
            "worker_id": worker_id,
            "exclusive": False,
        }
        await connection.execute(insert(executions).values(row | values))
    return execution


def frames(lines: Sequence[bytes], first: int = 0, stream: str = "stdout") -> bytes:
    """Lines as a shim writes them, a millisecond apart."""
    return b"".join(
        encode(LogFrame(START_US + (first + index) * 1000, stream, line)) for index, line in enumerate(lines)
    )


def chunk(execution_id: UUID, first: int, lines: Sequence[bytes], attempt: int = 1) -> LogChunk:
    """A chunk of whole lines; its ``resume`` says how far it reaches. A line is taken for a hundred bytes long."""
    return LogChunk(
        execution_id=execution_id,
        attempt=attempt,
        first_line=first,
        line_count=len(lines),
        first_byte=100 * first,
        byte_count=100 * len(lines),
        frames=frames(lines, first),
        resume={"offset": first + len(lines)},
    )
