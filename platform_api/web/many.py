"""The same done to several things at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from platform_api.domain.errors import NotAllowed, NotFound, PlatformError

#: Changes that are under way at once when many are asked for: each holds a connection.
AT_ONCE = 4


async def each(ids: Sequence[UUID], act: Callable[[UUID], Awaitable[object]]) -> list[PlatformError]:
    """Do it to every one, and return why some were not done.

    Where the policy refused all of them nothing was asked for that the caller may do: the first refusal is raised,
    and answered as it is for one thing alone.
    """
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(thing: UUID) -> PlatformError | None:
        async with limit:
            try:
                await act(thing)
            except PlatformError as error:
                return error
        return None

    refusals = [error for error in await asyncio.gather(*map(one, ids)) if error is not None]
    if len(refusals) == len(ids) and all(isinstance(error, NotAllowed | NotFound) for error in refusals):
        raise refusals[0]
    return refusals


def reasons(refusals: Sequence[PlatformError]) -> str:
    """Each reason once, in the order in which they came."""
    return "; ".join(dict.fromkeys(map(str, refusals)))
