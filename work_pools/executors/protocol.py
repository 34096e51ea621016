"""How the engine starts, watches and stops an attempt, whatever it becomes: a process or a pod.

The promise every executor keeps (D5): an attempt never starts twice, even when the worker that ordered it is
killed at any line and another takes over while the order is still on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from platform_api.domain.jobs import JobType
from platform_api.domain.log_limits import Count


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """One attempt of one execution; everything an executor keeps is found again by it."""

    execution_id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptOrder:
    """What is to run. ``env`` holds secret values too: it is never written to a disk, a log or a command line."""

    ref: AttemptRef
    #: Who orders it. A takeover seals the order of the one before, so only the newest claim can start.
    claim: UUID
    type: JobType
    script: str
    arguments: Sequence[str]
    env: dict[str, str] = field(repr=False)
    timeout_seconds: float
    grace_seconds: float
    #: Over all of its processes; going beyond it ends the attempt. None: no limit.
    memory_bytes: int | None = None
    #: How many cores all its processes may have together, where the machine can limit that.
    cpu_cores: float | None = None


class Standing(StrEnum):
    """What became of an attempt that an earlier worker ordered."""

    NEVER_STARTED = "never_started"
    RUNNING = "running"
    ENDED = "ended"


class EndCause(StrEnum):
    """Why an attempt is over."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    #: It took more memory, processes or disk than it may; ``error`` says of what and how much that is.
    LIMIT_EXCEEDED = "limit_exceeded"
    #: It could not be started at all (interpreter missing, no memory for a process, ...); ``error`` says why.
    NOT_STARTED = "not_started"
    #: It started, but whatever watched it vanished without a word (machine lost power, shim killed).
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended, as its shim or pod recorded it."""

    ref: AttemptRef
    cause: EndCause
    started_at: datetime | None
    ended_at: datetime
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    #: The JSON document the script left in the file named by JOB_RESULT.
    result: Any = None
    #: Why the document was not taken (too large, no JSON), if so.
    result_error: str | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a script wrote, as frames."""

    #: Where it begins: where it was asked for, or further on.
    offset: int
    frames: bytes
    #: If it begins further on: how much the script had written before, dropped or not.
    before: Count | None = None
    #: Then also: the streams that are in the middle of a line there, which began before.
    unfinished: tuple[str, ...] = ()


class AlreadyStarted(Exception):
    """This attempt has been started or sealed by somebody; adopt it instead."""


class Executor(Protocol):
    """Runs attempts. Every method may be called again after a crash."""

    @property
    def warnings(self) -> Sequence[str]:
        """What this executor cannot keep scripts from, in words for an operator; known once it is open."""
        ...

    async def open(self) -> None:
        """Make ready to start attempts."""
        ...

    async def close(self) -> None:
        """Let go of everything; attempts that run go on running."""
        ...

    async def prepare(self, order: AttemptOrder) -> None:
        """Do ahead of time what can be done: folder, script. Repeating it with the same claim changes nothing."""
        ...

    async def start(self, order: AttemptOrder) -> datetime:
        """Start a prepared attempt and return the moment its script began.

        Raises ``AlreadyStarted``. What stops the script from running (no interpreter, no process left) is no
        error here: ``wait`` reports it as ``NOT_STARTED``.
        """
        ...

    async def standing(self, ref: AttemptRef) -> Standing:
        """What became of an attempt, and seal it: one that never started cannot start under an old claim any more."""
        ...

    async def wait(self, ref: AttemptRef) -> AttemptEnd:
        """Return when the attempt is over; any number of callers, at any time, before or after a restart."""
        ...

    async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
        """Up to about ``size`` bytes of ``log_frames`` from ``offset``; empty when there is nothing new (yet).

        ``offset`` is 0 or the end of a frame. Of a log past its limits the middle is dropped while it grows; who
        asks for what is gone gets what is left behind it.

        They are as the script wrote them, secrets included. Fewer than ``size`` mean that there are no more (yet), or
        that a file of them ends here: only nothing behind the last frame says that it is the last.
        """
        ...

    async def stop(self, ref: AttemptRef, cause: EndCause) -> None:
        """Begin to end it: SIGTERM to all of its processes, SIGKILL after the order's grace. Does not wait."""
        ...

    async def discard(self, ref: AttemptRef) -> None:
        """Remove what is kept of an attempt that is over and reported."""
        ...
