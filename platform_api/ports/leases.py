"""Signs of life: who holds runs, and whether they still can."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """How a worker introduces itself."""

    id: UUID
    name: str
    pool: str
    host: str
    pid: int
    version: str
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another worker of the pool that has not been buried yet."""

    id: UUID
    #: Its lease has run out, or it said that it stops.
    expired: bool


class Leases(Protocol):
    """The workers' table. Its clock is the database's, so that no two machines disagree."""

    async def register(self, card: WorkerCard, lease_seconds: float) -> None:
        """Begin to be alive."""
        ...

    async def renew(self, worker_id: UUID, lease_seconds: float) -> bool:
        """Stay alive; False when the lease had run out, so that somebody may have taken over."""
        ...

    async def stop(self, worker_id: UUID) -> None:
        """Say that one holds no lease any more; scripts that run wait for whoever comes next."""
        ...

    async def peers(self, worker_id: UUID, pool: str) -> list[Peer]:
        """Workers of the pool besides oneself that live, or are dead and still hold something."""
        ...

    async def bury(self, worker_id: UUID) -> None:
        """Mark a dead worker as stopped once everything it held has been taken over."""
        ...
