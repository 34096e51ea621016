"""The API as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from platform_api import __version__
from platform_api.rest import (
    api_keys,
    audit_logs,
    dashboard,
    dead_letters,
    docs,
    errors,
    executions,
    health,
    instruments,
    jobs,
    logs,
    metrics,
    runs,
    schedule,
    secrets,
    teams,
    users,
    versions,
)
from platform_api.rest.envelope import Envelope
from platform_api.settings import Settings
from platform_api.use_cases import secret_upkeep
from platform_api.use_cases.audit_retention import retain_forever
from platform_api.use_cases.key_uses import write_uses_forever
from platform_api.use_cases.services import Services
from platform_api.use_cases.sync import reconcile_forever
from platform_api.web import loopback_provider, refusals, sign_in, site
from platform_api.web.security_headers import SecurityHeaders
from platform_api.wiring import assembled

#: The doors under ``/api/v1``; a new one is one line here.
API_ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    versions.router,
    users.router,
    teams.router,
    audit_logs.router,
    api_keys.router,
    runs.router,
    executions.router,
    logs.router,
    metrics.router,
    dead_letters.router,
    dashboard.router,
    schedule.router,
    secrets.router,
)

#: The doors at the root: health, metrics.
ROOT_ROUTERS: tuple[APIRouter, ...] = (health.router,)

#: The pages for people.
WEB_ROUTERS: tuple[APIRouter, ...] = (sign_in.router, sign_in.session_router)


def create_app(settings: Settings, services: Services | None = None) -> FastAPI:
    """The application; with ``services`` it works on those, else it assembles its own when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with assembled(settings) as own:
            app.state.services = own
            reconciler = asyncio.create_task(reconcile_forever(own), name="reconciler")
            key_uses = asyncio.create_task(write_uses_forever(own), name="key uses")
            retention = asyncio.create_task(retain_forever(own), name="audit retention")
            upkeep = asyncio.create_task(secret_upkeep.keep_forever(own), name="upkeep of secrets")
            try:
                yield
            finally:
                reconciler.cancel()
                upkeep.cancel()
                retention.cancel()
                key_uses.cancel()
                await asyncio.wait([reconciler, upkeep, retention, key_uses])

    app = FastAPI(
        title="Job platform",
        version=__version__,
        summary="Schedule Python and shell scripts, through Prefect.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        lifespan=lifespan if services is None else None,
    )
    if services is not None:
        app.state.services = services
    errors.install(app)
    refusals.install(app)
    for router in API_ROUTERS:
        app.include_router(router, prefix="/api/v1")
    for router in ROOT_ROUTERS:
        app.include_router(router)
    for router in WEB_ROUTERS:
        app.include_router(router)
    if settings.oidc_authority is None and settings.environment == "development":
        app.include_router(loopback_provider.router)
    docs.install(app)
    site.install(app)
    app.add_middleware(Envelope)
    instruments.install(app)
    app.add_middleware(SecurityHeaders, settings=settings, form_targets=sign_in.form_targets(app))
    return app
