"""What is stored about a person, wherever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol
from uuid import UUID


class PersonalData(Protocol):
    """Reading all of it, and taking it away."""

    def everything(self, user_id: UUID) -> AsyncIterator[tuple[str, Mapping[str, Any] | None]]:
        """Each section's name with None, and then with each of its rows; values that open doors are left out."""
        ...

    async def erase(self, user_id: UUID) -> None:
        """Leave of the person what history refers to: a number. Jobs and the audit trail are the caller's business."""
        ...
