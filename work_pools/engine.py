"""Puts the loops together: claim ahead, start on time, report behind (D2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from platform_api.ports.claims import Proposal
from platform_api.ports.leases import WorkerCard
from platform_api.ports.signals import Channel, Subscription
from work_pools.adoption import Adopter
from work_pools.cancels import Canceller
from work_pools.claims import Claimer
from work_pools.ends import Ender
from work_pools.equipment import Equipment
from work_pools.lease import Lease
from work_pools.live import LiveRuns
from work_pools.lock_file import LockFiles
from work_pools.log_shipper import LogShipper
from work_pools.loops import forever, until_done
from work_pools.starts import AGAIN_AFTER_SECONDS, Starter
from work_pools.timer import Timer

logger = logging.getLogger(__name__)


class Engine:
    """Everything a worker does without Prefect. ``run`` ends only by being cancelled; scripts go on."""

    def __init__(self, equipment: Equipment, card: WorkerCard, tasks: asyncio.TaskGroup) -> None:
        self._equipment = equipment
        self._card = card
        self._tasks = tasks
        self._locks = LockFiles(equipment.settings.home)
        self._timer = Timer(equipment.clock)
        self._shipper = LogShipper(equipment.executor, equipment.logs, equipment.worker.id)
        self.live = LiveRuns(equipment, self._shipper, tasks)
        self._starter = Starter(equipment, self._timer, self.live)
        self._ender = Ender(equipment, self.live, self._timer, self._starter, tasks)
        self._claimer = Claimer(equipment, self._timer, self.live, self._starter, tasks)
        self._canceller = Canceller(equipment, self.live)
        adopter = Adopter(equipment, self.live, self._claimer, self._starter, self._ender, tasks)
        self._adopter = adopter
        self._lease = Lease(equipment, card, self._locks, adopter)
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Become known, then begin all loops."""
        self._locks.hold(self._card.id)
        await self._equipment.executor.open()
        await until_done("Registering the worker", self._register)
        steps = {
            "lease": self._lease.step,
            "timer": self._start_due,
            "starting times": self._starter.correct,
        }
        self._loops = [
            self._tasks.create_task(self._ender.run(), name="ends"),
            self._tasks.create_task(self._shipper.run(), name="logs"),
            self._tasks.create_task(forever("Listening for work", self._listen), name="claims"),
            *(self._tasks.create_task(forever(name, step), name=name) for name, step in steps.items()),
        ]

    async def stop(self) -> None:
        """Claim nothing more, give back what has not started, leave scripts running for the next worker."""
        self._timer.clear()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        async with self._equipment.uow() as uow:
            await uow.claims.release(self._card.id)
            await uow.leases.stop(self._card.id)
            await uow.notify(Channel.WORK, self._equipment.pool)
        await self._equipment.executor.close()
        self._locks.release()

    async def propose(self, proposals: Sequence[Proposal]) -> None:
        """What Prefect wants to be run soon."""
        await self._claimer.propose(proposals)

    async def cancel_flow_run(self, flow_run_id: UUID) -> None:
        """What somebody cancelled in Prefect."""
        await self._canceller.cancel_flow_run(flow_run_id)

    async def _register(self) -> None:
        async with self._equipment.uow() as uow:
            await uow.leases.register(self._card, self._equipment.settings.lease_seconds)

    async def _listen(self) -> None:
        async with self._equipment.signals.subscribe(Channel.WORK, self._equipment.pool) as subscription:
            while True:
                await self._look(subscription)

    async def _look(self, subscription: Subscription) -> None:
        """One look at the database: new runs, requests to stop, places that have become free, strays."""
        await self._claimer.take()
        async with self._equipment.uow() as uow:
            running = await uow.ends.running(self._card.id)
        await self._canceller.stop([id_ for id_, wanted_by in running.items() if wanted_by])
        await self._starter.recheck()
        await self._adopter.look_for_strays(set(running))
        await subscription.wait(self._equipment.settings.poll_seconds)

    async def _start_due(self) -> None:
        """Take what is due and start it in the background, so that what is due next need not wait."""
        ids = await self._timer.due()
        self.live.busy.update(ids)
        self._tasks.create_task(self._start(ids), name="start")

    async def _start(self, ids: list[UUID]) -> None:
        try:
            await self._starter.start(ids)
        # The database may be away for a moment; due is due, so it is tried until it is back.
        except Exception:
            logger.exception("%d runs that are due could not be started; again in a moment", len(ids))
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
            self._starter.again(ids, self._equipment.now())
