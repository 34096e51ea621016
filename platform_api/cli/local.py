"""The commands that run a part of the platform on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from platform_api.settings import Settings

if TYPE_CHECKING:
    from platform_api.embedded.start import Beside, Options


def serve_platform(host: str, port: int, pool: str | None) -> int:
    """``up``."""
    from platform_api.embedded.start import Options

    settings = Settings()
    return _serve(settings, Options(host, port, pool or settings.work_pool), None)


def serve_demo(host: str, port: int, *, leave: bool) -> int:
    """``demo``."""
    from platform_api.cli.demo import show
    from platform_api.embedded.start import Options

    settings = Settings()
    return _serve(settings, Options(host, port, settings.work_pool), partial(show, leave=leave))


def _serve(settings: Settings, options: Options, beside: Beside | None) -> int:
    from platform_api.embedded.home import AlreadyRunning
    from platform_api.embedded.postgres import PostgresFailed
    from platform_api.embedded.readiness import StartFailed
    from platform_api.embedded.start import serve

    os.umask(0o077)
    _refuse_unfit(settings, "up")
    try:
        return asyncio.run(serve(settings, options, beside))
    except (AlreadyRunning, StartFailed, PostgresFailed) as error:
        print(f"job-platform: {error}", file=sys.stderr)
        return 1


def migrate_database() -> None:
    """``migrate``."""
    from migrations.runner import upgrade

    settings = Settings()
    if settings.migration_url is None:
        sys.exit("job-platform: set JOB_PLATFORM_DATABASE_URL")
    upgrade(settings.migration_url.get_secret_value())
    print("The database is at this release's schema.")


def serve_api(host: str, port: int, *, gated: bool) -> None:
    """``api``."""
    import uvicorn

    # Loaded by the application when it starts; here it loads while the migrations still run.
    import deployments.registrar  # noqa: F401
    from platform_api.main import create_app
    from platform_api.secret_store.memory import forbid_core_files

    settings = Settings()
    forbid_core_files()
    _log_with_time()
    _pass_gate(gated)
    _refuse_unfit(settings, "api")
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        # Whose X-Forwarded-For is believed is a setting of ours (JOB_PLATFORM_TRUSTED_PROXIES).
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )


def work(pool: str | None, *, gated: bool) -> None:
    """``worker``."""
    from work_pools.wiring import run_worker

    settings = Settings()
    if pool is not None:
        settings = settings.model_copy(update={"work_pool": pool})
    _log_with_time()
    _pass_gate(gated)
    _refuse_unfit(settings, "worker")
    asyncio.run(run_worker(settings))


def _refuse_unfit(settings: Settings, process: str) -> None:
    """Leave with the list of everything that production must not start with."""
    if settings.environment != "production":
        return
    from platform_api.production import NotFitForProduction, Process, refuse_unfit

    try:
        asyncio.run(refuse_unfit(settings, Process(process)))
    except NotFitForProduction as refusal:
        sys.exit(f"job-platform: {refusal}")


def _log_with_time() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # A line per request to Prefect or Azure would drown everything else.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("azure").setLevel(logging.WARNING)


def _pass_gate(gated: bool) -> None:
    if gated:
        from platform_api.embedded.gate import wait_at_gate

        wait_at_gate()
