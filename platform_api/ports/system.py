"""What an operator wants to know of the platform's parts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker and what it holds now."""

    id: UUID
    name: str
    pool: str
    host: str
    pid: int
    version: str
    started_at: datetime
    heartbeat_at: datetime
    is_alive: bool
    running: int
    #: Claimed ahead of their time, or between two attempts.
    held: int
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Queue:
    """What is open in one work pool."""

    pool: str
    running: int
    retrying: int
    #: Their time has come, and no worker has started them.
    due: int
    #: Their time is still to come.
    ahead: int
    oldest_due: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What Prefect is still to be told."""

    reports: int
    oldest: datetime | None
    #: Reports that Prefect refused or did not take at the first try, and its last word about one of them.
    in_trouble: int
    last_error: str | None
    #: Jobs whose deployment does not show what is stored.
    jobs_behind: int


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The database itself."""

    version: str
    schema: str
    size_bytes: int
    connections: int
    most_connections: int


class SystemFigures(Protocol):
    """Read-only; from partial indexes and small tables only, so that a long history costs nothing."""

    async def workers(self) -> list[WorkerState]:
        """The workers that live, and those that died or stopped within the last day, the living first."""
        ...

    async def queues(self) -> list[Queue]:
        """Every work pool with something open."""
        ...

    async def backlog(self) -> Backlog:
        """What is to be sent to Prefect."""
        ...

    async def store(self) -> StoreFacts:
        """The database's version and size."""
        ...


@dataclass(frozen=True, slots=True)
class Disk:
    """How full the disk under a folder is."""

    folder: Path
    total: int
    free: int

    @property
    def used_share(self) -> float:
        """From 0 to 1."""
        return 1 - self.free / self.total if self.total else 1.0

    @classmethod
    def under(cls, folder: Path) -> Disk | None:
        """Of the disk that holds ``folder``; None where it cannot be told."""
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            return None
        return cls(folder, usage.total, usage.free)
