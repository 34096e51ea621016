"""How every part of the platform is."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from platform_api.ports.system import Disk
from platform_api.rest.health import MonitorDependency
from platform_api.use_cases import system
from platform_api.use_cases.health import Check, Health
from platform_api.use_cases.system import SystemView
from platform_api.web.answers import is_htmx
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission

router = pages()

#: So full, a disk is worth a word; so full, what runs will soon fail.
WARN_SHARE, FULL_SHARE = 0.85, 0.95

#: The parts in the order of the page: a title, and what it does for people.
PARTS = {
    "database": ("Database", "Holds jobs, history and logs. Without it nothing works."),
    "worker": ("Workers", "Run the scripts. With none alive no job starts."),
    "scheduler": ("Starts", "Whether what is due starts on time."),
    "prefect": ("Prefect", "Keeps the schedules. While it is away, what was claimed ahead still runs on time."),
    "reports": ("Prefect's view", "Whether Prefect's run history keeps up with what happened."),
    "supervisor": ("Processes", "Whether all processes of this machine run."),
}

VERDICTS = {
    "ok": ("good", "Everything works", "Jobs start on time, and every part answers."),
    "degraded": ("warn", "Jobs run, but something needs a look", "What is amiss is marked below."),
    "down": ("bad", "Jobs cannot run now", "What is marked below keeps them from it."),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part and how it is."""

    title: str
    meaning: str
    check: Check


@router.get("/system", **page(Permission.SYSTEM_VIEW))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, monitor: MonitorDependency
) -> Response:
    """Health in words, workers, queues, versions; for htmx the part that changes."""
    seen = await system.show(services, caller)
    health = await monitor.health()
    template = "system/state.html" if is_htmx(request) else "system/page.html"
    return render(request, template, seen=seen, parts=_parts(health, seen), verdict=VERDICTS[_worst(health, seen)])


def _parts(health: Health, seen: SystemView) -> list[Part]:
    parts = [
        Part(*PARTS.get(name, (name.replace("_", " ").capitalize(), "")), check)
        for name, check in sorted(health.checks.items(), key=lambda item: _place(item[0]))
    ]
    if seen.disk is not None:
        parts.append(Part("Disk", "Holds logs and what scripts write while they run.", disk_check(seen.disk)))
    return parts


def _place(name: str) -> int:
    known = list(PARTS)
    return known.index(name) if name in known else len(known)


def _worst(health: Health, seen: SystemView) -> str:
    full = seen.disk is not None and disk_check(seen.disk).status != "ok"
    return "degraded" if health.status == "ok" and full else health.status


def disk_check(disk: Disk) -> Check:
    """Whether there is room."""
    gib = disk.free / 2**30
    detail = f"{100 * disk.used_share:.0f} % used, {gib:,.1f} GiB free"
    if disk.used_share >= FULL_SHARE:
        return Check("degraded", f"{detail}: nearly full; free some, or shorten how long logs are kept")
    if disk.used_share >= WARN_SHARE:
        return Check("degraded", f"{detail}: filling up")
    return Check("ok", detail)
