"""Health, for people, load balancers and monitoring. Open to everybody: details carry no secrets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from platform_api.ports.supervision import ParentSupervision
from platform_api.rest.dependencies import ServicesDependency
from platform_api.use_cases.health import Health, HealthMonitor

router = APIRouter(tags=["health"])

#: A check's answer is true for a moment only.
NOT_STORED = {"Cache-Control": "no-store"}


def monitor(request: Request, services: ServicesDependency) -> HealthMonitor:
    """The process's one monitor, made at the first question."""
    known = getattr(request.app.state, "health_monitor", None)
    if known is None:
        known = HealthMonitor(services, ParentSupervision(services.settings.home))
        request.app.state.health_monitor = known
    return cast(HealthMonitor, known)


MonitorDependency = Annotated[HealthMonitor, Depends(monitor)]


@router.get("/health")
async def health(monitor: MonitorDependency) -> JSONResponse:
    """How every part is doing: 200 while jobs run, 500 when they cannot."""
    found = await monitor.health()
    return _answer(found, 500 if found.status == "down" else 200)


@router.get("/health/live")
async def live() -> JSONResponse:
    """This process answers; restart it when it does not."""
    return JSONResponse({"status": "ok"}, headers=NOT_STORED)


@router.get("/health/ready")
async def ready(monitor: MonitorDependency) -> JSONResponse:
    """Whether requests may be sent to this process."""
    found = await monitor.health()
    return _answer(found, 200 if found.can_answer else 503)


def _answer(found: Health, status_code: int) -> JSONResponse:
    body: dict[str, Any] = {
        "status": found.status,
        "checks": {name: asdict(check) for name, check in found.checks.items()},
    }
    headers = NOT_STORED | ({"Retry-After": "1"} if status_code == 503 else {})
    return JSONResponse(body, status_code, headers)
