"""What this worker has under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from platform_api.domain.jobs import Concurrency, JobSpec
from platform_api.ports.claims import HeldRun
from work_pools.equipment import Equipment
from work_pools.executors.protocol import AttemptEnd, AttemptRef, EndCause
from work_pools.log_shipper import LogShipper
from work_pools.loops import until_done
from work_pools.masking import Masker
from work_pools.tasks import Tasks


@dataclass(frozen=True, slots=True)
class LiveRun:
    """An attempt that runs, or is being brought up."""

    ref: AttemptRef
    job_id: UUID
    spec: JobSpec
    priority: int
    #: Known when the worker itself began the attempt; an adopted log goes on where the store says.
    adopted: bool
    #: Whatever the script says passes through it before it leaves this worker; without one, nothing does.
    masker: Masker | None

    @classmethod
    def of(cls, run: HeldRun, spec: JobSpec, masker: Masker | None, *, adopted: bool) -> LiveRun:
        """The live side of a held run."""
        return cls(AttemptRef(run.id, run.attempt), run.job_id, spec, run.priority, adopted, masker)

    @property
    def is_exclusive(self) -> bool:
        """Whether others of its job may wait for its end."""
        return self.spec.concurrency is not Concurrency.ALLOW


@dataclass(frozen=True, slots=True)
class EndedRun:
    """An attempt that is over, its log shipped to the last byte."""

    run: LiveRun
    end: AttemptEnd
    last_error_line: str | None


class LiveRuns:
    """Watches each attempt with a task of its own and queues the ends."""

    def __init__(self, equipment: Equipment, shipper: LogShipper, tasks: Tasks) -> None:
        self._equipment = equipment
        self._shipper = shipper
        self._tasks = tasks
        self._runs: dict[UUID, LiveRun] = {}
        self.ended: asyncio.Queue[EndedRun] = asyncio.Queue()
        #: In the hands of a start or an adoption at this moment: neither waiting nor live.
        self.busy: set[UUID] = set()

    def __contains__(self, execution_id: UUID) -> bool:
        return execution_id in self._runs or execution_id in self.busy

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, execution_id: UUID) -> LiveRun | None:
        """The live run of that execution."""
        return self._runs.get(execution_id)

    def watch(self, run: LiveRun) -> None:
        """Ship its log and wait for its end."""
        self._runs[run.ref.execution_id] = run
        if run.masker is not None:
            self._shipper.add(run.ref, run.masker, fresh=not run.adopted and run.ref.attempt == 1)
        self._tasks.create_task(self._see_to_the_end(run), name=f"run-{run.ref.execution_id}")

    def forget(self, run: LiveRun) -> None:
        """It is reported, or no longer ours."""
        if self._runs.get(run.ref.execution_id) is run:
            del self._runs[run.ref.execution_id]

    async def _see_to_the_end(self, run: LiveRun) -> None:
        end = await until_done("Waiting for a run", lambda: self._equipment.executor.wait(run.ref))
        # Whoever is killed may be in the middle of saying a secret.
        torn = end.cause is not EndCause.EXITED or end.error is not None
        last_error_line = await self._shipper.drain(run.ref, torn=torn)
        self.ended.put_nowait(EndedRun(run, end, last_error_line))
