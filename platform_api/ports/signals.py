"""Wake-ups between processes: a hint that something changed in the database, never the only word of it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol


class Channel(StrEnum):
    """What a wake-up is about; its payload is an id as text."""

    #: A worker should look for due or cancelled executions; payload: the pool's name.
    WORK = "job_platform_work"
    #: An execution changed its status; payload: its id.
    EXECUTION = "job_platform_execution"
    #: An execution has new log lines; payload: its id.
    LOG = "job_platform_log"
    #: A job's deployment is behind what is stored; payload: the job's id.
    SYNC = "job_platform_sync"


class Subscription(Protocol):
    """One listener of one channel and payload."""

    async def wait(self, timeout_seconds: float) -> bool:
        """Return True at the next wake-up (one that came since the last call counts), False at the deadline.

        A reader looks at the database after either: a wake-up may be lost with its connection.
        """
        ...


class Signals(Protocol):
    """Where to listen. Sending is part of the transaction that makes the change, so it lives in ``db``."""

    def subscribe(self, channel: Channel, payload: str | None = None) -> AbstractAsyncContextManager[Subscription]:
        """Listen until the context ends; without ``payload``, to the whole channel."""
        ...
