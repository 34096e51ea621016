"""A machine in memory: attempts do what their script's first word says, and outlive the workers that ordered them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from platform_api.domain.log_frames import LogFrame, encode
from work_pools.executors.protocol import (
    AlreadyStarted,
    AttemptEnd,
    AttemptOrder,
    AttemptRef,
    EndCause,
    Output,
    Standing,
)


@dataclass
class Attempt:
    """What the machine keeps of one attempt."""

    ref: AttemptRef
    claims: set[UUID] = field(default_factory=set)
    sealed: set[UUID] = field(default_factory=set)
    order: AttemptOrder | None = None
    started_at: datetime | None = None
    output: bytearray = field(default_factory=bytearray)
    end: AttemptEnd | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, line: str, stream: str = "stdout") -> None:
        """Have the script say something."""
        moment = int(datetime.now(UTC).timestamp() * 1_000_000)
        self.output += encode(LogFrame(moment, stream, line.encode()))

    def finish(self, cause: EndCause = EndCause.EXITED, **how: object) -> None:
        """Have the script end."""
        self.end = AttemptEnd(self.ref, cause, self.started_at, datetime.now(UTC), **how)  # type: ignore[arg-type]
        self.over.set()


class Machine:
    """Outlives every worker. ``starts`` counts how often each attempt's script began: never more than once."""

    def __init__(self) -> None:
        self.attempts: dict[AttemptRef, Attempt] = {}
        self.starts: list[AttemptRef] = []
        self.discarded: set[AttemptRef] = set()
        self.moments: list[tuple[AttemptRef, datetime]] = []

    def attempt(self, ref: AttemptRef) -> Attempt:
        """The attempt, made at the first word of it."""
        return self.attempts.setdefault(ref, Attempt(ref))

    def running(self, execution_id: UUID) -> Attempt:
        """The attempt of an execution that runs now."""
        return next(a for a in self.attempts.values() if a.ref.execution_id == execution_id and a.order and not a.end)


class ScriptedExecutor:
    """A worker's hands on the machine. ``exit N`` ends at once, ``hold`` runs until the test ends it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        #: A test may let the worker die between the intent and the start.
        self.dies_before_start = False

    warnings: tuple[str, ...] = ()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def prepare(self, order: AttemptOrder) -> None:
        attempt = self.machine.attempt(order.ref)
        if order.claim in attempt.sealed:
            raise AlreadyStarted
        attempt.claims.add(order.claim)

    async def start(self, order: AttemptOrder) -> datetime:
        if self.dies_before_start:
            await asyncio.Event().wait()
        attempt = self.machine.attempt(order.ref)
        if attempt.order or order.claim in attempt.sealed:
            raise AlreadyStarted
        assert order.claim in attempt.claims, "an attempt is prepared before it is started"
        attempt.order, attempt.started_at = order, datetime.now(UTC)
        self.machine.starts.append(order.ref)
        self.machine.moments.append((order.ref, attempt.started_at))
        for line in order.script.splitlines():
            self._perform(attempt, line.split())
        return attempt.started_at

    def _perform(self, attempt: Attempt, words: list[str]) -> None:
        match words:
            case ["exit", code]:
                attempt.finish(exit_code=int(code))
            case ["say", *rest]:
                attempt.write(" ".join(rest))
            case ["complain", *rest]:
                attempt.write(" ".join(rest), "stderr")
            case ["hold"]:
                pass
            case other:
                raise AssertionError(f"unknown line: {other}")

    async def standing(self, ref: AttemptRef) -> Standing:
        attempt = self.machine.attempt(ref)
        attempt.sealed |= attempt.claims
        if not attempt.order:
            return Standing.NEVER_STARTED
        return Standing.ENDED if attempt.end else Standing.RUNNING

    async def wait(self, ref: AttemptRef) -> AttemptEnd:
        attempt = self.machine.attempt(ref)
        await attempt.over.wait()
        assert attempt.end
        return attempt.end

    async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
        return Output(offset, bytes(self.machine.attempt(ref).output[offset : offset + size]))

    async def stop(self, ref: AttemptRef, cause: EndCause) -> None:
        attempt = self.machine.attempt(ref)
        if not attempt.end:
            attempt.finish(cause, signal=15)

    async def discard(self, ref: AttemptRef) -> None:
        self.machine.discarded.add(ref)
