"""What the parts of the engine work with; ``wiring`` fills it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

from platform_api.ports.clock import Clock
from platform_api.ports.logs import LogStore
from platform_api.ports.secrets import MemorySecrets, Secrets
from platform_api.ports.signals import Signals
from platform_api.ports.starts import WorkerName
from platform_api.ports.ticks import Ticks
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.settings import Settings
from work_pools.executors.protocol import Executor
from work_pools.precedence import Precedence


@dataclass(frozen=True, slots=True)
class Equipment:
    """Adapters behind their ports, and who this worker is. One per process."""

    worker: WorkerName
    pool: str
    uow: Callable[[], AbstractAsyncContextManager[UnitOfWork]]
    logs: LogStore
    signals: Signals
    ticks: Ticks
    executor: Executor
    clock: Clock
    settings: Settings
    #: Without a store no job can declare a secret, and one that does cannot start.
    secrets: Secrets = field(default_factory=MemorySecrets)
    #: Whether starts are under way, for everything that can wait.
    precedence: Precedence = field(default_factory=Precedence)

    def now(self) -> datetime:
        """The present moment."""
        return self.clock.now()
