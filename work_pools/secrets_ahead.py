"""Reads secrets just ahead of the start, beside everything else, so that no start waits for another's secrets (D2)."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from platform_api.domain.jobs import JobSpec
from platform_api.ports.claims import HeldRun
from platform_api.ports.secret_store import StoreAway
from platform_api.ports.secrets import NO_SECRETS, SecretsUnavailable, SecretValues
from work_pools.equipment import Equipment
from work_pools.tasks import Tasks
from work_pools.timer import Timer

logger = logging.getLogger(__name__)

#: How long before its second the secrets of a run are read, and for how long they count as read at its start.
AHEAD_SECONDS = 10.0
FRESH_SECONDS = 15.0
#: A store that is away is asked again for so long, with pauses; then the attempt fails, and its job's retry policy has
#: the word. Each question has a deadline of its own.
ASKED_FOR_SECONDS = 6.0
AGAIN_AFTER_SECONDS = 0.5
#: No start waits longer, whatever else the store has to do: a burst may have to queue there.
LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """Under way or done; a failure gives None, for the start asks once more and says what it hears."""

    declared: dict[str, str]
    begun: float
    task: asyncio.Task[SecretValues | None]

    def serves(self, spec: JobSpec) -> bool:
        """Whether a start now may wait for it: it is of this declaration, and not old."""
        return self.declared == spec.secrets and time.monotonic() - self.begun <= FRESH_SECONDS


class SecretsAhead:
    """The values of runs that are about to start; nothing is kept beyond that."""

    def __init__(self, equipment: Equipment, tasks: Tasks) -> None:
        self._equipment = equipment
        self._tasks = tasks
        self._timer = Timer(equipment.clock)
        self._expected: dict[UUID, HeldRun] = {}
        self._readings: dict[UUID, _Reading] = {}

    def expect(self, run: HeldRun) -> None:
        """Read the secrets of the run a few seconds before it is due."""
        if run.spec.secrets:
            self._expected[run.id] = run
            self._timer.add(run.id, run.due_at - timedelta(seconds=AHEAD_SECONDS), run.priority)

    def forget(self, execution_id: UUID) -> None:
        """The run does not start."""
        self._expected.pop(execution_id, None)
        self._readings.pop(execution_id, None)

    async def step(self) -> None:
        """Begin to read what is due soon; one step of a loop."""
        for id_ in await self._timer.due():
            run = self._expected.pop(id_, None)
            if run is not None:
                self._begin(run)
        oldest = time.monotonic() - FRESH_SECONDS
        self._readings = {id_: reading for id_, reading in self._readings.items() if reading.begun > oldest}

    def _begin(self, run: HeldRun) -> None:
        task = self._tasks.create_task(self._read(run), name=f"secrets-{run.id}")
        self._readings[run.id] = _Reading(run.spec.secrets, time.monotonic(), task)

    async def _read(self, run: HeldRun) -> SecretValues | None:
        try:
            return await self._equipment.secrets.values(run.id, run.job_id, run.spec.secrets)
        except SecretsUnavailable as error:
            logger.warning("The secrets of run %s could not be read ahead of its time: %s", run.id, error)
            return None

    async def take(self, run: HeldRun, spec: JobSpec) -> SecretValues:
        """The values for a start now; raises ``SecretsUnavailable`` after a bounded time."""
        self._expected.pop(run.id, None)
        reading = self._readings.pop(run.id, None)
        if not spec.secrets:
            return NO_SECRETS
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                if reading and reading.serves(spec) and (values := await asyncio.shield(reading.task)) is not None:
                    return values
                return await self._ask(run, spec)
        except TimeoutError:
            raise StoreAway(f"nothing was heard within {LONGEST_WAIT_SECONDS:g} s") from None

    async def _ask(self, run: HeldRun, spec: JobSpec) -> SecretValues:
        until = time.monotonic() + ASKED_FOR_SECONDS
        while True:
            try:
                return await self._equipment.secrets.values(run.id, run.job_id, spec.secrets)
            except StoreAway:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
