"""How often somebody may do something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within a time that moves along with the clock."""

    name: str
    most: int
    seconds: int
    #: Every single one is remembered. Where there are thousands, two counters that weigh the window before are enough.
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a limit."""

    limit: Limit
    allowed: bool
    remaining: int
    #: Until some more is allowed.
    reset_seconds: float


class RateLimits(Protocol):
    """Counts, shared by all replicas where there is a Redis. When that is away, everything is allowed."""

    #: How often something was allowed because nobody could count.
    unchecked: int

    async def take(self, limit: Limit, who: str) -> Allowance:
        """Use one up, if there is one left."""
        ...

    async def look(self, limit: Limit, who: str) -> Allowance:
        """Say what is left, using nothing up."""
        ...

    def vouch(self, credential: str) -> None:
        """Remember for some minutes, in this process, that this credential held."""
        ...

    def is_vouched(self, credential: str) -> bool:
        """Whether it held lately; it must still be checked."""
        ...
