"""What a worker's log says while something that it needs is away: one line when it goes and one when it is back.

Every step is repeated, and there are many, so the traceback of each failure is there at debug level only. An error
that no outage explains is told with its traceback each time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from platform_api.db.outages import database_outage

logger = logging.getLogger(__name__)

#: Answers of a server that is there without being able to do anything.
_BROKEN = 500


def prefect_outage(error: BaseException) -> str | None:
    """Why Prefect's server is away, in one line, if that is what the error says."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return f"it answers with {status}" if status >= _BROKEN else None
    if not isinstance(error, httpx.TransportError):
        return None
    return " ".join(str(error).split()) or type(error).__name__


@dataclass
class _Outage:
    """Of one thing that is needed."""

    what: str
    reason_of: Callable[[BaseException], str | None]
    meanwhile: str
    since: float | None = None
    #: The steps that have failed; when one of them succeeds, it is over.
    steps: set[str] = field(default_factory=set)

    def begin(self, step: str, reason: str) -> None:
        self.steps.add(step)
        if self.since is None:
            self.since = time.time()
            told = f"{datetime.fromtimestamp(self.since):%H:%M:%S}"
            logger.warning("%s is away since %s (%s). %s", self.what, told, reason, self.meanwhile)

    def end(self, step: str) -> None:
        if step in self.steps and self.since is not None:
            logger.warning("%s is back after %.1f s", self.what, time.time() - self.since)
            self.since = None
            self.steps.clear()


class Outages:
    """Those of one process."""

    def __init__(self) -> None:
        self._known = (
            _Outage(
                "The database",
                database_outage,
                "Scripts that run go on and their output is kept; nothing new starts until it is back. Every step is "
                "repeated.",
            ),
            _Outage(
                "Prefect's server",
                prefect_outage,
                "Runs start on time all the same; what it is to be told waits until it is back.",
            ),
        )

    def failed(self, step: str, error: BaseException, next_: str) -> None:
        """Tell of a failure what is not known yet; ``next_`` says what is done about it."""
        for cause in _causes(error):
            for outage in self._known:
                if (reason := outage.reason_of(cause)) is not None:
                    outage.begin(step, reason)
                    logger.debug("%s failed; %s", step, next_, exc_info=error)
                    return
        logger.error("%s failed; %s", step, next_, exc_info=error)

    def succeeded(self, step: str) -> None:
        """What it needs is there."""
        for outage in self._known:
            outage.end(step)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and the members of groups."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)


#: A worker is a process.
outages = Outages()
