"""Puts the adapters behind the ports of one worker process, and runs it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import cast
from uuid import uuid4

from platform_api.db.engine import create_engine
from platform_api.db.reports import SqlLeadership
from platform_api.db.signals import PostgresSignals
from platform_api.db.translation import translated
from platform_api.db.unit_of_work import units_of_work
from platform_api.log_store.archive import FolderArchive
from platform_api.log_store.store import PostgresLogStore
from platform_api.ports.clock import SystemClock
from platform_api.ports.leases import WorkerCard
from platform_api.ports.reports import Leadership
from platform_api.ports.starts import WorkerName
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.production import Process, refuse_unfit
from platform_api.secret_store.memory import forbid_core_files
from platform_api.secret_store.opening import opened_store
from platform_api.secret_store.reading import StoredSecrets
from platform_api.settings import Settings
from platform_api.ticks import CronTicks
from work_pools.engine import Engine
from work_pools.equipment import Equipment
from work_pools.executors.local import processes
from work_pools.executors.local.executor import LocalExecutor
from work_pools.isolation import isolation_of
from work_pools.loops import forever, until_done
from work_pools.prefect_api import PrefectApi
from work_pools.reporter import Reporter
from work_pools.tasks import Tasks
from work_pools.worker import serve_prefect

logger = logging.getLogger(__name__)

#: A database that is away must not keep a worker from stopping; what it held is taken over instead.
STOP_SECONDS = 8.0


@asynccontextmanager
async def equipped(settings: Settings, pool: str, name: str) -> AsyncIterator[tuple[Equipment, Leadership]]:
    """Every adapter of a worker; closed in the reverse order of their opening."""
    await refuse_unfit(settings, Process.WORKER)
    if settings.database_url is None:
        raise RuntimeError("JOB_PLATFORM_DATABASE_URL is not set; `job-platform up` sets it for its embedded database.")
    url = settings.database_url.get_secret_value()
    forbid_core_files()
    async with AsyncExitStack() as stack:
        engine = create_engine(url, pool_size=settings.database_pool_size, application_name="job-platform worker")
        stack.push_async_callback(engine.dispose)
        uow = cast(Callable[[], AbstractAsyncContextManager[UnitOfWork]], units_of_work(engine))
        secret_store = opened_store(settings)
        stack.push_async_callback(secret_store.close)
        equipment = Equipment(
            worker=WorkerName(uuid4(), name),
            pool=pool,
            uow=uow,
            logs=PostgresLogStore(engine, FolderArchive(settings.archive_folder), settings.log_limits),
            signals=await stack.enter_async_context(PostgresSignals(url)),
            ticks=CronTicks(),
            executor=LocalExecutor(settings.runs_folder, isolation_of(settings), settings.log_limits),
            clock=SystemClock(),
            settings=settings,
            secrets=StoredSecrets(translated(uow), secret_store),
        )
        yield equipment, SqlLeadership(engine)


async def run_worker(settings: Settings, pool: str | None = None, name: str | None = None) -> None:
    """Be a worker until SIGTERM or SIGINT; scripts that run then go on, and the next worker adopts them."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # Scripts of an ordinary user's may have the worker's own number: its secrets are not theirs to read.
    processes.hide_memory()
    own_name = name or socket.gethostname()
    async with equipped(settings, pool or settings.work_pool, own_name) as (equipment, leadership):
        prefect = PrefectApi.connect(settings)
        try:
            await work_until(stopped, equipment, leadership, prefect)
        finally:
            await prefect.close()


async def work_until(stopped: asyncio.Event, equipment: Equipment, leadership: Leadership, prefect: PrefectApi) -> None:
    """Run the engine with both of its connections to Prefect until ``stopped``."""
    engine = Engine(equipment, _card(equipment))
    reporter = Reporter(equipment, leadership, prefect, engine.canceller)
    tasks = Tasks()
    tasks.create_task(until_done("Starting the engine", engine.start), name="start")
    tasks.create_task(forever("Reporting to Prefect", reporter.run), name="reporter")
    tasks.create_task(forever("Polling Prefect", partial(serve_prefect, engine, equipment)), name="prefect worker")
    await stopped.wait()
    await tasks.cancel()
    await _stop(engine)


async def _stop(engine: Engine) -> None:
    """Within a deadline; a worker that cannot say goodbye is taken over like one that was killed."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await engine.stop()
    # Nothing of it is needed for correctness.
    except Exception:
        logger.exception("The worker could not give back what it held")


def _card(equipment: Equipment) -> WorkerCard:
    try:
        release = version("job-platform")
    except PackageNotFoundError:
        release = "0"
    return WorkerCard(
        id=equipment.worker.id,
        name=equipment.worker.name,
        pool=equipment.pool,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=release,
    )
