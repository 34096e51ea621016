"""Puts the adapters behind the ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import cast

from platform_api.db.engine import create_engine
from platform_api.db.signals import PostgresSignals
from platform_api.db.translation import translated
from platform_api.db.unit_of_work import units_of_work
from platform_api.identity.provider import identity_provider, loopback_provider
from platform_api.log_store.archive import FolderArchive
from platform_api.log_store.store import PostgresLogStore
from platform_api.ports.clock import SystemClock
from platform_api.ports.orchestrator import Orchestrator
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.settings import Settings
from platform_api.ticks.cron_ticks import CronTicks
from platform_api.use_cases.services import Services


@asynccontextmanager
async def prefect_orchestrator(settings: Settings) -> AsyncIterator[Orchestrator]:
    """The connection to Prefect; its client takes seconds to import, so only who opens it pays."""
    from deployments.registrar import PrefectOrchestrator

    auth = settings.prefect_auth_string
    orchestrator = PrefectOrchestrator(
        settings.prefect_api_url,
        auth.get_secret_value() if auth else None,
        work_pool=settings.work_pool,
        concurrency=settings.prefect_concurrency,
    )
    try:
        yield orchestrator
    finally:
        await orchestrator.close()


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[Services]:
    """Every service of an API process; closed in the reverse order of their opening."""
    if settings.database_url is None:
        raise RuntimeError("JOB_PLATFORM_DATABASE_URL is not set; `job-platform up` sets it for its embedded database.")
    url = settings.database_url.get_secret_value()
    async with AsyncExitStack() as stack:
        engine = create_engine(url, pool_size=settings.database_pool_size, application_name="job-platform api")
        stack.push_async_callback(engine.dispose)
        signals = await stack.enter_async_context(PostgresSignals(url))
        orchestrator = await stack.enter_async_context(prefect_orchestrator(settings))
        clock = SystemClock()
        loopback = loopback_provider(settings)
        identity = identity_provider(settings, clock, loopback)
        stack.push_async_callback(identity.close)
        yield Services(
            uow=cast(Callable[[], AbstractAsyncContextManager[UnitOfWork]], translated(units_of_work(engine))),
            ticks=CronTicks(),
            orchestrator=orchestrator,
            logs=PostgresLogStore(engine, FolderArchive(settings.archive_folder), settings.log_limits),
            signals=signals,
            clock=clock,
            settings=settings,
            identity=identity,
            loopback=loopback,
        )
