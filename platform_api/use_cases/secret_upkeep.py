"""What a crash or a running script has left to do about secrets.

- A version whose storing was cut off is looked for in its store: found, it counts; not found, it is given up.
- A replaced or deleted value is made unreadable as soon as no script that runs can have got it: until then a worker
  that takes such a script over must be able to mask it.

Each is one transaction around one call to the store: it may be repeated, and a crash undoes what it has not finished.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from platform_api.domain.errors import Unavailable
from platform_api.ports.secrets import SecretsUnavailable
from platform_api.use_cases.services import Services

logger = logging.getLogger(__name__)

ROUND_SECONDS = 10.0
#: Longer than a store may take to answer.
UNFINISHED_AFTER = timedelta(minutes=1)


async def keep_forever(services: Services) -> None:
    """A round now and then, for as long as the process lives."""
    while True:
        try:
            await keep(services)
        except (SecretsUnavailable, Unavailable) as trouble:
            logger.warning("Secrets are not tidied up for now: %s", trouble)
        except Exception:
            # Whatever a round met, the next one must come: a deleted value would stay for ever.
            logger.exception("Secrets could not be tidied up")
        await asyncio.sleep(ROUND_SECONDS)


async def keep(services: Services) -> None:
    """Everything that is to be done now. Raises ``SecretsUnavailable`` when the store is away."""
    while await _finish_one(services) or await _erase_one(services):
        pass


async def _finish_one(services: Services) -> bool:
    async with services.uow() as uow:
        for place in await uow.secrets.unfinished(UNFINISHED_AFTER, 1):
            sealed = await services.secret_store.find(place)
            if sealed is not None:
                await uow.secrets.store_version(place, sealed)
            else:
                await uow.secrets.give_up_version(place)
            return True
    return False


async def _erase_one(services: Services) -> bool:
    async with services.uow() as uow:
        for value in await uow.secrets.unneeded(1):
            if await uow.secrets.forget_version(value.place):
                await services.secret_store.remove(value.place)
            else:
                await services.secret_store.retire(value.place, value.sealed)
            return True
    return False
