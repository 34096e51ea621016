"""What the use cases work with; ``platform_api.wiring`` fills it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from platform_api.identity.loopback.provider import LoopbackProvider
from platform_api.ports.clock import Clock
from platform_api.ports.identity import IdentityProvider
from platform_api.ports.logs import LogStore
from platform_api.ports.orchestrator import Orchestrator
from platform_api.ports.signals import Signals
from platform_api.ports.ticks import Ticks
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Adapters behind their ports. One per process."""

    #: ``async with services.uow() as uow:`` is one transaction: committed at the end, rolled back by an exception.
    uow: Callable[[], AbstractAsyncContextManager[UnitOfWork]]
    ticks: Ticks
    orchestrator: Orchestrator
    logs: LogStore
    signals: Signals
    clock: Clock
    settings: Settings
    identity: IdentityProvider
    #: The embedded default's own identity provider, where there is no other one.
    loopback: LoopbackProvider | None = None
