"""What goes wrong between us and PostgreSQL, in the platform's own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from platform_api.domain.errors import Unavailable

Work = TypeVar("Work")

_BUSY = "The database is busy; try again."
_AWAY = "The database cannot be reached for now; try again."


def translated(
    units: Callable[[], AbstractAsyncContextManager[Work]],
) -> Callable[[], AbstractAsyncContextManager[Work]]:
    """The same transactions; a database that is away, or that makes us wait too long, raises ``Unavailable``."""

    @asynccontextmanager
    async def unit_of_work() -> AsyncIterator[Work]:
        try:
            async with units() as work:
                yield work
        except NoFreeConnection as error:
            raise Unavailable(_BUSY) from error
        except DBAPIError as error:
            reason = _why_unavailable(error)
            if reason is None:
                raise
            raise Unavailable(reason) from error

    return unit_of_work


def _why_unavailable(error: DBAPIError) -> str | None:
    if isinstance(error.orig, LockNotAvailable | DeadlockDetected | QueryCanceled):
        return _BUSY
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return _AWAY
    return None
