"""Workers on a real database and a machine in memory, and what a test wants to know of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.signals import PostgresSignals
from platform_api.db.unit_of_work import units_of_work
from platform_api.domain.jobs import JobSpec, JobType
from platform_api.log_store.archive import FolderArchive
from platform_api.log_store.store import PostgresLogStore
from platform_api.ports.claims import Proposal
from platform_api.ports.leases import WorkerCard
from platform_api.ports.secrets import MemorySecrets
from platform_api.ports.starts import WorkerName
from platform_api.settings import Settings
from platform_api.ticks import CronTicks
from tests.scripted_executor import Machine, ScriptedExecutor
from work_pools.engine import Engine
from work_pools.equipment import Equipment
from work_pools.executors.protocol import Executor

POOL = "local"


class SteppedClock:
    """The machine's clock, set to another time by a test."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self._minute = minute()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def step(self, by: timedelta) -> None:
        """Set the clock by so much."""
        self.ahead += by

    def begin_a_minute(self) -> None:
        """Let a minute be five seconds old, so that none ends during a test that counts them."""
        now = self.now()
        self._minute = now.replace(second=0, microsecond=0)
        self.step(self._minute + timedelta(seconds=5) - now)

    def minute(self, offset: int = 0) -> datetime:
        """The minute in which the test began, moved by ``offset`` minutes, wherever the clock stands now."""
        return self._minute + timedelta(minutes=offset)


@dataclass
class Worker:
    """One worker process, as far as the database can tell."""

    engine: Engine
    equipment: Equipment
    executor: Executor

    @property
    def id(self) -> UUID:
        return self.equipment.worker.id

    async def die(self) -> None:
        """kill -9: nothing is said to anybody, only the lock goes."""
        await self.engine._loops.cancel()
        await self.engine._starts.cancel()
        await self.engine._background.cancel()
        await self.engine._tidying.cancel()
        self.engine._locks.release()


@dataclass
class Room:
    """The database, the machine and the workers of one test."""

    database: AsyncEngine
    signals: PostgresSignals
    home: Path
    machine: Machine = field(default_factory=Machine)
    workers: list[Worker] = field(default_factory=list)
    clock: SteppedClock = field(default_factory=SteppedClock)
    secrets: MemorySecrets = field(default_factory=MemorySecrets)

    def equipment(self, executor: Executor | None = None, **changed: Any) -> Equipment:
        """What one more worker works with."""
        fast: dict[str, Any] = {"poll_seconds": 0.1, "lease_seconds": 2}
        settings = Settings(_env_file=None, home=self.home, **fast | changed)  # type: ignore[call-arg]
        return Equipment(
            worker=WorkerName(uuid4(), f"worker-{len(self.workers) + 1}"),
            pool=POOL,
            uow=cast(Any, units_of_work(self.database)),
            logs=PostgresLogStore(self.database, FolderArchive(settings.archive_folder), settings.log_limits),
            signals=self.signals,
            ticks=CronTicks(),
            executor=executor or ScriptedExecutor(self.machine),
            clock=self.clock,
            settings=settings,
            secrets=self.secrets,
        )

    async def worker(self, executor: Executor | None = None, **changed: Any) -> Worker:
        """Start one more worker."""
        return await self.serve(self.equipment(executor, **changed))

    async def serve(self, equipment: Equipment) -> Worker:
        """Start a worker with this equipment."""
        card = WorkerCard(equipment.worker.id, equipment.worker.name, POOL, "here", 1, "0")
        worker = Worker(Engine(equipment, card), equipment, equipment.executor)
        self.workers.append(worker)
        await worker.engine.start()
        return worker

    async def run_sql(self, statement: str, **parameters: Any) -> Any:
        async with self.database.begin() as connection:
            result = await connection.execute(text(statement), parameters)
            return result.mappings().all() if result.returns_rows else None

    async def job(self, script: str = "exit 0", *, status: str = "active", **fields: Any) -> UUID:
        """A job due at every minute unless its spec says otherwise."""
        job_id = uuid4()
        spec = JobSpec(
            **{"name": f"job {job_id}", "type": JobType.SHELL, "script": script, "schedule": "* * * * *"} | fields
        )
        await self.run_sql("INSERT INTO teams (id, name) VALUES (:id, 'devops') ON CONFLICT DO NOTHING", id=_TEAM)
        await self.run_sql(
            "INSERT INTO users (id, email, display_name, role, team_id) "
            "VALUES (:id, 'maya@example.com', 'Maya', 'job_creator', :team) ON CONFLICT DO NOTHING",
            id=_USER,
            team=_TEAM,
        )
        await self.run_sql(
            "INSERT INTO jobs (id, name, type, team_id, owner_id, status, version, spec, scheduled_since, "
            "prefect_deployment_id) VALUES (:id, :name, 'shell', :team, :owner, :status, 0, '{}', :since, :deployment)",
            id=job_id,
            name=spec.name,
            team=_TEAM,
            owner=_USER,
            status=status,
            since=datetime.now(UTC) - timedelta(days=1),
            deployment=uuid4(),
        )
        await self.save(job_id, spec)
        return job_id

    async def follow(self, job_id: UUID, next_tick: datetime | None = None) -> None:
        """Put the job on the agenda, as saving it does: settled up to the tick, or not at all."""
        await self.run_sql(
            "INSERT INTO agenda (job_id, next_tick_at) VALUES (:id, coalesce(:tick, CAST('-infinity' AS timestamptz)))",
            id=job_id,
            tick=next_tick,
        )

    async def save(self, job_id: UUID, spec: JobSpec) -> None:
        """One more version of the job."""
        document = json.dumps(spec.to_json(), default=str)
        await self.run_sql(
            "UPDATE jobs SET version = version + 1, spec = CAST(:s AS jsonb) WHERE id = :id", s=document, id=job_id
        )
        await self.run_sql(
            "INSERT INTO job_versions (job_id, version, spec, author_id, change) "
            "SELECT id, version, spec, owner_id, 'edited' FROM jobs WHERE id = :id",
            id=job_id,
        )

    async def run_by_hand(self, job_id: UUID, **columns: Any) -> UUID:
        """What the API writes for "run now"."""
        execution_id = uuid4()
        values = {"due_at": datetime.now(UTC), "exclusive": True, "overrides": None} | columns
        await self.run_sql(
            "INSERT INTO executions "
            "(id, job_id, job_version, pool, status, triggered_by, due_at, exclusive, overrides) "
            "SELECT :id, id, version, :pool, 'queued', 'api', :due_at, :exclusive, CAST(:overrides AS jsonb) "
            "FROM jobs WHERE id = :job_id",
            id=execution_id,
            job_id=job_id,
            pool=POOL,
            **values | {"overrides": json.dumps(values["overrides"]) if values["overrides"] else None},
        )
        await self.run_sql("SELECT pg_notify('job_platform_work', :pool)", pool=POOL)
        return execution_id

    async def execution(self, execution_id: UUID) -> dict[str, Any]:
        (row,) = await self.run_sql("SELECT * FROM executions WHERE id = :id", id=execution_id)
        return dict(row)

    async def executions(self, job_id: UUID) -> list[dict[str, Any]]:
        rows = await self.run_sql(
            "SELECT * FROM executions WHERE job_id = :id ORDER BY scheduled_for, queued_at", id=job_id
        )
        return [dict(row) for row in rows]

    async def attempts(self, execution_id: UUID) -> list[dict[str, Any]]:
        rows = await self.run_sql("SELECT * FROM attempts WHERE execution_id = :id ORDER BY attempt", id=execution_id)
        return [dict(row) for row in rows]

    async def reports(self, execution_id: UUID) -> list[str]:
        """Names of the states that Prefect is to be told, in order."""
        rows = await self.run_sql(
            "SELECT coalesce(state_name, kind) AS name FROM prefect_reports "
            "WHERE execution_id = :id OR flow_run_id = :id ORDER BY id",
            id=execution_id,
        )
        return [row["name"] for row in rows]

    async def until_status(self, execution_id: UUID, *statuses: str, seconds: float = 10) -> dict[str, Any]:
        """The execution, once it stands there."""

        async def stands_there() -> bool:
            return (await self.execution(execution_id))["status"] in statuses

        try:
            await until(stands_there, seconds)
        except TimeoutError:
            raise AssertionError(f"still {await self.execution(execution_id)}") from None
        return await self.execution(execution_id)


_TEAM, _USER = uuid4(), uuid4()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Return when it holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - nothing tells a test of another's transaction but looking
            await asyncio.sleep(0.02)


def minute(offset: int = 0) -> datetime:
    """The start of the present minute, moved by ``offset`` minutes."""
    return datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=offset)


def proposals(job_id: UUID, ticks: Sequence[datetime]) -> list[Proposal]:
    """One flow run for each tick."""
    return [Proposal(uuid4(), job_id, tick) for tick in ticks]


@asynccontextmanager
async def open_room(database: AsyncEngine, database_url: str, home: Path) -> AsyncIterator[Room]:
    """A room whose workers are gone at the end."""
    async with PostgresSignals(database_url) as signals:
        room = Room(database, signals, home)
        try:
            yield room
        finally:
            for worker in room.workers:
                await worker.die()
