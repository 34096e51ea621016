"""Takes in what another worker, or this one by mishap, has left (D5)."""

from __future__ import annotations

import logging
from uuid import UUID

from platform_api.ports.claims import HeldRun
from work_pools.claims import Claimer
from work_pools.ends import Ender
from work_pools.equipment import Equipment
from work_pools.executors.protocol import AttemptEnd, AttemptRef, EndCause, Standing
from work_pools.live import EndedRun, LiveRun, LiveRuns
from work_pools.loops import until_done
from work_pools.masking import TRANSPARENT
from work_pools.run_secrets import masker_of
from work_pools.starts import Starter
from work_pools.tasks import Tasks

logger = logging.getLogger(__name__)


class Adopter:
    """Finds out what became of each attempt: ended (report it), running (watch it), never started (start it)."""

    def __init__(
        self,
        equipment: Equipment,
        live: LiveRuns,
        claimer: Claimer,
        starter: Starter,
        ender: Ender,
        tasks: Tasks,
    ) -> None:
        self._equipment = equipment
        self._live = live
        self._claimer = claimer
        self._starter = starter
        self._ender = ender
        self._tasks = tasks
        self._suspects: set[UUID] = set()

    async def take_over(self, dead: UUID, *, scripts_too: bool) -> None:
        """Take what a dead worker held; its running scripts only where this worker can reach them."""
        worker_id = self._equipment.worker.id
        async with self._equipment.uow() as uow:
            waiting = await uow.claims.take_over(worker_id, [dead], running=False)
            running = await uow.claims.take_over(worker_id, [dead], running=True) if scripts_too else []
            untidied = await uow.ends.untidied([dead]) if scripts_too else []
            await uow.leases.bury(dead)
        for run in waiting:
            self._claimer.expect(run)
        for run in running:
            self.adopt(run)
        for execution_id, attempts in untidied:
            self._tidy(execution_id, attempts)
        if waiting or running:
            logger.warning("Took over %d waiting and %d running from worker %s", len(waiting), len(running), dead)

    def _tidy(self, execution_id: UUID, attempts: int) -> None:
        for attempt in range(1, attempts + 1):
            self._ender.tidy(AttemptRef(execution_id, attempt), archive=attempt == attempts)

    async def look_for_strays(self, running: set[UUID]) -> None:
        """Adopt runs that are ours in the database but not in memory, if they are so for two looks in a row."""
        strays = {id_ for id_ in running if id_ not in self._live}
        again, self._suspects = strays & self._suspects, strays
        if not again:
            return
        worker_id = self._equipment.worker.id
        async with self._equipment.uow() as uow:
            runs = await uow.claims.take_over(worker_id, [worker_id], running=True)
        for run in runs:
            if run.id in again and run.id not in self._live:
                logger.warning("Run %s had been lost sight of", run.id)
                self.adopt(run)

    def adopt(self, run: HeldRun) -> None:
        """See to one attempt, in the background."""
        self._live.busy.add(run.id)
        self._tasks.create_task(self._adopt(run), name=f"adopt-{run.id}")

    async def _adopt(self, run: HeldRun) -> None:
        try:
            ref = AttemptRef(run.id, run.attempt)
            standing = await until_done("Adopting a run", lambda: self._equipment.executor.standing(ref))
            if standing is Standing.NEVER_STARTED:
                await self._start_late(run)
            else:
                masker = await masker_of(self._equipment, run, run.spec)
                self._live.watch(LiveRun.of(run, run.spec, masker, adopted=True))
        finally:
            self._live.busy.discard(run.id)

    async def _start_late(self, run: HeldRun) -> None:
        """Its worker died between the intent and the start; unless somebody has cancelled it, it starts now."""
        async with self._equipment.uow() as uow:
            requests = await uow.ends.running(self._equipment.worker.id)
        if not requests.get(run.id):
            await self._starter.launch(run, run.version, run.spec, adopted=True)
            return
        live = LiveRun.of(run, run.spec, TRANSPARENT, adopted=True)
        end = AttemptEnd(live.ref, EndCause.CANCELLED, None, self._equipment.now())
        self._live.ended.put_nowait(EndedRun(live, end, None))
