"""Executions that failed after their last attempt, and nobody has dealt with."""

from __future__ import annotations

from typing import Protocol

from platform_api.ports.executions import Execution, Place
from rbac.principal import Principal


class DeadLetters(Protocol):
    """The list; an entry leaves it through ``Executions.deal_with``."""

    async def page(self, principal: Principal, behind: Place | None, limit: int) -> list[Execution]:
        """Those that ended last first, of those that ``principal`` may see; places are moments of ``ended_at``."""
        ...
