"""A worker process that is stopped (SIGSTOP) and goes on: another takes over meanwhile, and nothing starts twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.engine_room import Room, open_room, until

JOBS = 16
#: Longer than the lease, so that the other worker takes over. ``JOB_PLATFORM_LONG_PAUSE=60`` makes it a minute.
#: It lasts until all is started, however busy the machine is.
PAUSE_SECONDS = float(os.environ.get("JOB_PLATFORM_LONG_PAUSE", "5"))


@pytest.fixture
async def room(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(engine, database_url, tmp_path) as room:
        yield room


@contextmanager
def worker_process(database_url: str, home: Path, isolation: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker whose Prefect is away."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOB_PLATFORM_")}
    environment |= {
        "JOB_PLATFORM_DATABASE_URL": database_url,
        "JOB_PLATFORM_HOME": str(home),
        "JOB_PLATFORM_PREFECT_API_URL": "http://127.0.0.1:9/api",
        "JOB_PLATFORM_LEASE_SECONDS": "2",
        "JOB_PLATFORM_SCRIPT_ISOLATION": isolation,
        "JOB_PLATFORM_SCRIPT_WRITABLE_FOLDERS": str(home / "evidence"),
        "PREFECT_HOME": str(home / "prefect"),
    }
    with (home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "platform_api.cli.main", "worker"], env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


async def alive(room: Room, count: int) -> None:
    async def are_alive() -> bool:
        rows = await room.run_sql("SELECT 1 FROM workers WHERE stopped_at IS NULL AND lease_expires_at > now()")
        return len(rows) >= count

    await until(are_alive, 60)


@pytest.mark.parametrize("isolation", ["best", "off"])
async def test_a_worker_paused_while_another_takes_over_doubles_and_misses_nothing(
    room: Room, database_url: str, tmp_path: Path, isolation: str
) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    evidence.chmod(0o777)
    with (
        worker_process(database_url, tmp_path, isolation) as paused,
        worker_process(database_url, tmp_path, isolation),
    ):
        await alive(room, 2)
        begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        # A file each: whose user is another one may not write on in it.
        script = f'echo "$JOB_ID $SCHEDULED_FOR $ATTEMPT" > {evidence}/$JOB_ID.$$.$RANDOM; sleep 0.4'
        jobs = []
        for number in range(JOBS):
            tick = begin + timedelta(seconds=number // 2)
            jobs.append(await room.job(script, schedule=None, run_at=tick))
            await room.follow(jobs[-1])
        await asyncio.sleep((begin - datetime.now(UTC)).total_seconds() + 2.2)
        paused.send_signal(signal.SIGSTOP)
        await asyncio.sleep(PAUSE_SECONDS)
        await until(lambda: all_started(room, jobs), 60)
        paused.send_signal(signal.SIGCONT)
        rows = [row for job in jobs for row in await ended(room, job)]
        # The one that was away serves again, and is not taken for dead.
        await alive(room, 2)
    assert [row["status"] for row in rows] == ["success"] * JOBS
    assert {row["attempt"] for row in rows} == {1}
    started = Counter(file.read_text().split()[0] for file in evidence.iterdir())
    assert started == Counter(map(str, jobs))


async def all_started(room: Room, jobs: list[UUID]) -> bool:
    """By whoever is awake."""
    return all([any(row["started_at"] for row in await room.executions(job)) for job in jobs])


async def ended(room: Room, job: UUID) -> list[dict[str, Any]]:
    async def is_over() -> bool:
        rows = await room.executions(job)
        return bool(rows) and all(row["ended_at"] for row in rows)

    await until(is_over, 60)
    return await room.executions(job)
