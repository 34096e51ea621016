"""How the platform is doing: may a visitor rely on it now?

``down`` means that jobs cannot run: no database, no worker, or a start that is not over. Everything else that is
amiss is ``degraded``: with Prefect away, what was claimed ahead still runs on time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Literal, TypeVar

from platform_api.domain.errors import PlatformError
from platform_api.ports.health import Vitals
from platform_api.ports.supervision import ChildReport, Supervision, SupervisorReport
from platform_api.use_cases.services import Services

Status = Literal["ok", "degraded", "down"]

DEADLINE_SECONDS = 1.0
CACHE_SECONDS = 1.0
#: An execution that is due and has not started for this long shows that starts are late.
LATE_SECONDS = 10.0
#: Prefect's view may lag behind a burst of runs; longer than this it is worth a look.
REPORTS_LATE_SECONDS = 60.0
#: A restart counts as news for this long.
NEWS = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Check:
    """One part's status and, in words, why."""

    status: Status
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """All parts; the worst decides."""

    checks: dict[str, Check]

    @property
    def status(self) -> Status:
        """The whole platform's status."""
        found = {check.status for check in self.checks.values()}
        return "down" if "down" in found else "degraded" if "degraded" in found else "ok"

    @property
    def can_answer(self) -> bool:
        """Whether this process can serve requests: it needs the database, whatever the rest does."""
        return self.checks["database"].status == "ok"


Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """The last answer of a costly question, asked again when it is older than ``seconds``."""

    def __init__(self, ask: Callable[[], Awaitable[Value]], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._answer: tuple[float, Value] | None = None

    async def get(self) -> Value:
        """The answer; who comes while it is being asked waits for the same one."""
        async with self._lock:
            if self._answer is None or time.monotonic() - self._answer[0] > self._seconds:
                answer = await self._ask()
                self._answer = (time.monotonic(), answer)
            return self._answer[1]


class HealthMonitor:
    """Examines the platform at most once a second, however often it is asked."""

    def __init__(self, services: Services, supervision: Supervision) -> None:
        self._services = services
        self._supervision = supervision
        self._health = Remembered(self._examine, CACHE_SECONDS)

    async def health(self) -> Health:
        """The state of every part."""
        return await self._health.get()

    async def _examine(self) -> Health:
        (database, vitals), prefect = await asyncio.gather(self._database(), self._prefect())
        checks = {"database": database, "prefect": prefect, **_from_vitals(vitals)}
        report = await asyncio.to_thread(self._supervision.report)
        if report is not None:
            checks["supervisor"] = supervisor_check(report, self._services.clock.now())
        return Health(checks)

    async def _database(self) -> tuple[Check, Vitals | None]:
        began = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._services.uow() as uow:
                vitals = await uow.health.vitals(self._services.settings.work_pool)
        except TimeoutError:
            return Check("down", f"no answer within {DEADLINE_SECONDS:g} s"), None
        except PlatformError:
            return Check("down", "no connection"), None
        return Check("ok", f"answers in {1000 * (time.monotonic() - began):.0f} ms"), vitals

    async def _prefect(self) -> Check:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                healthy = await self._services.orchestrator.is_healthy()
        except TimeoutError:
            return Check("degraded", f"no answer within {DEADLINE_SECONDS:g} s; {_PREFECT_AWAY}")
        return Check("ok", "answers") if healthy else Check("degraded", f"does not answer; {_PREFECT_AWAY}")


_PREFECT_AWAY = "runs that are claimed already start on time, later ones wait"


def _from_vitals(vitals: Vitals | None) -> dict[str, Check]:
    if vitals is None:
        unknown = Check("down", "unknown without the database")
        return {"worker": unknown, "scheduler": unknown, "reports": unknown}
    return {"worker": worker_check(vitals), "scheduler": scheduler_check(vitals), "reports": reports_check(vitals)}


def worker_check(vitals: Vitals) -> Check:
    """Somebody must be there to run jobs."""
    if vitals.live_workers == 0:
        return Check("down", "no worker is alive")
    detail = f"{vitals.live_workers} alive, last sign of life {vitals.heartbeat_age_seconds or 0:.1f} s ago"
    return Check("ok", "; ".join([detail, *vitals.warnings]))


def scheduler_check(vitals: Vitals) -> Check:
    """Whether what is due starts."""
    detail = f"{vitals.running} running, {vitals.queued + vitals.retrying} waiting for their time"
    if vitals.overdue_seconds > LATE_SECONDS:
        return Check("degraded", f"{detail}; {vitals.overdue} overdue, the oldest by {vitals.overdue_seconds:.0f} s")
    return Check("ok", detail)


def reports_check(vitals: Vitals) -> Check:
    """Whether Prefect's view of the runs keeps up."""
    detail = f"{vitals.reports} to send to Prefect, the oldest for {vitals.reports_seconds:.0f} s"
    return Check("degraded" if vitals.reports_seconds > REPORTS_LATE_SECONDS else "ok", detail)


def supervisor_check(report: SupervisorReport, now: datetime) -> Check:
    """Whether all processes of this machine run, and what became of those that died."""
    if report.phase == "starting":
        return Check("down", "the platform is starting")
    told = [_told(child) for child in report.children if child.restarts or child.status != "running"]
    if not told:
        return Check("ok", f"{len(report.children)} processes run")
    fresh = any(_is_news(child, now) for child in report.children)
    return Check("degraded" if fresh else "ok", "; ".join(told))


def _is_news(child: ChildReport, now: datetime) -> bool:
    return child.status != "running" or (child.last_end_at is not None and now - child.last_end_at < NEWS)


def _told(child: ChildReport) -> str:
    last = f", last ended at {child.last_end_at:%H:%M:%S} UTC ({child.last_end})" if child.last_end_at else ""
    return f"{child.name} is {child.status}, restarts: {child.restarts}{last}"
