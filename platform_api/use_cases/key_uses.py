"""When a key was last used, noted beside the requests instead of on their way."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from platform_api.use_cases.services import Services

#: What a crash forgets at most.
ROUND_SECONDS = 5.0

logger = logging.getLogger(__name__)


class KeyUses:
    """Uses of keys that are not written yet, the latest of each key. One per process."""

    def __init__(self) -> None:
        self._uses: dict[UUID, datetime] = {}

    def note(self, key_id: UUID, now: datetime) -> None:
        """Remember that the key was used."""
        self._uses[key_id] = now

    def taken(self) -> dict[UUID, datetime]:
        """What was noted since the last time."""
        uses, self._uses = self._uses, {}
        return uses


async def write_uses(services: Services) -> None:
    """Write what was noted; what cannot be written now is noted again by the key's next use."""
    uses = services.key_uses.taken()
    if uses:
        async with services.uow() as uow:
            await uow.api_keys.note_uses(uses)


async def write_uses_forever(services: Services) -> None:
    """Write every few seconds, and a last time when the process ends."""
    try:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await _try(services)
    finally:
        await _try(services)


async def _try(services: Services) -> None:
    try:
        await write_uses(services)
    except Exception:
        # A database that is away must not end the loop: it would never note a use again.
        logger.exception("the last uses of API keys are not written")
