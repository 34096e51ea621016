"""Every page, put into the application."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from platform_api.web import (
    api_keys,
    audit,
    audit_proof,
    dashboard,
    dead_letters,
    docs,
    execution,
    execution_log,
    explorer,
    job,
    job_edit,
    jobs,
    prefect_door,
    secrets,
    system,
    teams,
    users,
    versions,
)
from platform_api.web.errors import problem_page
from platform_api.web.rendering import assets

#: A page adds itself by one line here, and by one in ``navigation`` where the menu shows it.
ROUTERS: tuple[APIRouter, ...] = (
    dashboard.router,
    explorer.router,
    versions.router,
    dead_letters.router,
    api_keys.router,
    audit.router,
    audit_proof.router,
    system.router,
    docs.router,
    prefect_door.router,
    users.router,
    teams.router,
    secrets.router,
    jobs.router,
    job_edit.router,
    job.router,
    execution.router,
    execution_log.router,
)


def install(app: FastAPI) -> None:
    """Serve the pages, their scripts and styles, and errors that people can read."""
    app.state.problem_page = problem_page
    app.add_exception_handler(prefect_door.LedElsewhere, prefect_door.to_our_history)
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.append(assets.route())
