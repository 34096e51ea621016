"""How every part of the platform is, for those who look after it."""

from __future__ import annotations

import asyncio
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from platform_api import __version__
from platform_api.audit.entries import Subject
from platform_api.ports.system import Backlog, Disk, Queue, StoreFacts, WorkerState
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.services import Services
from rbac.permissions import Permission


@dataclass(frozen=True, slots=True)
class SystemView:
    """All of it at one moment."""

    workers: list[WorkerState]
    queues: list[Queue]
    backlog: Backlog
    store: StoreFacts
    disk: Disk | None
    #: What runs here, by name.
    versions: dict[str, str]


async def show(services: Services, caller: Caller) -> SystemView:
    """The workers, the queues, what Prefect lags behind, the database and the disk."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.SYSTEM_VIEW, Subject("system"))
        workers, queues = await uow.system.workers(), await uow.system.queues()
        backlog, store = await uow.system.backlog(), await uow.system.store()
    disk = await asyncio.to_thread(Disk.under, services.settings.home)
    return SystemView(workers, queues, backlog, store, disk, _versions(store))


def _versions(store: StoreFacts) -> dict[str, str]:
    return {
        "Job platform": __version__,
        "Prefect": _installed("prefect"),
        "PostgreSQL": store.version,
        "Database schema": store.schema,
        "Python": platform.python_version(),
    }


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed here"
