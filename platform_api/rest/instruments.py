"""``/metrics`` for Prometheus: what this process served, and how the platform is doing."""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platform_api.domain.errors import PlatformError
from platform_api.ports.health import Vitals
from platform_api.use_cases.health import DEADLINE_SECONDS, Remembered
from platform_api.use_cases.services import Services

#: A scrape within this time of another one costs no query.
CACHE_SECONDS = 5.0
RECENT_HOURS = 24
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Instruments:
    """The instruments of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "job_platform_http_requests_total",
            "Requests, by the template of their address.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "job_platform_http_request_seconds",
            "From a request to the first byte of its answer.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.executions = self._gauge("executions", "Executions queued in the last 24 hours, by status.", "status")
        self.workers = self._gauge("workers", "Workers that are alive.")
        self.heartbeat_age = self._gauge("worker_heartbeat_age_seconds", "Since the last sign of life of any worker.")
        self.queued = self._gauge("queue_depth", "Executions that wait for their time, their turn or a retry.")
        self.overdue = self._gauge("queue_overdue", "Executions that are due and have not started.")
        self.overdue_seconds = self._gauge("queue_overdue_seconds", "How late the oldest of them is.")
        self.running = self._gauge("executions_running", "Executions that run.")
        self.reports = self._gauge("prefect_reports_backlog", "States that Prefect is still to be told.")
        self.reports_seconds = self._gauge("prefect_reports_lag_seconds", "For how long the oldest of them has waited.")
        self.unchecked = self._gauge("rate_limits_unchecked", "Requests that went on because Redis could not count.")
        self.up = self._gauge("database_up", "1 when the database answered this scrape's question.")

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(f"job_platform_{name}", description, labels, registry=self.registry)

    def show(self, vitals: Vitals, recent: dict[str, int]) -> None:
        """Set every gauge that comes from the database."""
        self.workers.set(vitals.live_workers)
        self.heartbeat_age.set(float("nan") if vitals.heartbeat_age_seconds is None else vitals.heartbeat_age_seconds)
        self.queued.set(vitals.queued + vitals.retrying)
        self.overdue.set(vitals.overdue)
        self.overdue_seconds.set(vitals.overdue_seconds)
        self.running.set(vitals.running)
        self.reports.set(vitals.reports)
        self.reports_seconds.set(vitals.reports_seconds)
        self.executions.clear()
        for status, count in recent.items():
            self.executions.labels(status).set(count)


class RequestMetrics:
    """Counts and times requests; pure ASGI, so that streams pass through it untouched."""

    def __init__(self, app: ASGIApp, instruments: Instruments) -> None:
        self._app = app
        self._instruments = instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure until the answer begins: a live log is not a slow request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measured_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._measure(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measured_send)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        method = scope["method"] if route != "(none)" else "(any)"
        self._instruments.requests.labels(method, route, str(status)).inc()
        self._instruments.latency.labels(method, route).observe(seconds)


def install(app: FastAPI) -> None:
    """Add the middleware and the page."""
    instruments = Instruments()
    app.add_middleware(RequestMetrics, instruments=instruments)
    page = MetricsPage(instruments)
    app.add_api_route("/metrics", page.show, methods=["GET"], include_in_schema=False)


class MetricsPage:
    """The page in Prometheus' text format."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._figures: Remembered[None] | None = None

    async def show(self, request: Request) -> Response:
        """The figures of now, or of a few seconds ago."""
        services: Services = request.app.state.services
        if self._figures is None:
            self._figures = Remembered(lambda: self._refresh(services), CACHE_SECONDS)
        await self._figures.get()
        return Response(generate_latest(self._instruments.registry), media_type=CONTENT_TYPE_LATEST)

    async def _refresh(self, services: Services) -> None:
        self._instruments.unchecked.set(services.limits.unchecked)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), services.uow() as uow:
                vitals = await uow.health.vitals(services.settings.work_pool)
                recent = await uow.health.queued_lately(RECENT_HOURS)
        except (TimeoutError, PlatformError):
            self._instruments.up.set(0)
            return
        self._instruments.up.set(1)
        self._instruments.show(vitals, recent)
