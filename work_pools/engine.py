"""Puts the loops together: claim ahead, start on time, report behind (D2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from platform_api.ports.claims import Proposal
from platform_api.ports.leases import WorkerCard
from platform_api.ports.signals import Channel, Subscription
from work_pools.adoption import Adopter
from work_pools.agenda import AgendaKeeper
from work_pools.cancels import Canceller
from work_pools.claims import Claimer
from work_pools.ends import Ender
from work_pools.equipment import Equipment
from work_pools.lease import Lease
from work_pools.live import LiveRuns
from work_pools.lock_file import LockFiles
from work_pools.log_shipper import LogShipper
from work_pools.loops import forever, until_done
from work_pools.outages import outages
from work_pools.secrets_ahead import SecretsAhead
from work_pools.starts import AGAIN_AFTER_SECONDS, Starter
from work_pools.tasks import Tasks
from work_pools.timer import Timer


class Engine:
    """Everything a worker does without Prefect. Scripts outlive it."""

    def __init__(self, equipment: Equipment, card: WorkerCard) -> None:
        self._equipment = equipment
        self._card = card
        self._loops = Tasks()
        self._starts = Tasks()
        self._tidying = Tasks()
        self._background = tasks = Tasks()
        self._locks = LockFiles(equipment.settings.home, equipment.pool)
        self._timer = Timer(equipment.clock)
        self._shipper = LogShipper(
            equipment.executor, equipment.logs, equipment.worker.id, equipment.settings.log_limits
        )
        self.live = LiveRuns(equipment, self._shipper, tasks)
        self._secrets = SecretsAhead(equipment, tasks)
        self._starter = Starter(equipment, self._timer, self.live, self._secrets)
        self._ender = Ender(equipment, self.live, self._timer, self._starter, self._tidying)
        self._claimer = Claimer(equipment, self._timer, self.live, self._starter, tasks)
        self._agenda = AgendaKeeper(equipment, self._timer)
        self.canceller = Canceller(equipment, self.live)
        adopter = Adopter(equipment, self.live, self._claimer, self._starter, self._ender, tasks)
        self._adopter = adopter
        self._lease = Lease(equipment, card, self._locks, adopter)

    async def start(self) -> None:
        """Become known, then begin all loops."""
        self._locks.hold(self._card.id)
        await self._equipment.executor.open()
        await until_done("Registering the worker", self._register)
        loops = {
            "lease": forever("Renewing the lease", self._lease.step),
            "claims": forever("Looking for work", self._listen),
            "timer": forever("Starting what is due", self._start_due),
            "secrets": forever("Reading secrets", self._secrets.step),
            "starting times": forever("Storing starting times", self._starter.correct),
            "logs": self._shipper.run(),
            "ends": self._ender.run(),
        }
        if self._equipment.pool == self._equipment.settings.work_pool:
            # All jobs belong to that pool; a worker of another one sees only what Prefect proposes to it.
            loops["agenda"] = forever("Settling ticks", self._agenda.step)
        for name, loop in loops.items():
            self._loops.create_task(loop, name=name)

    async def stop(self) -> None:
        """Claim nothing more, give back what has not started, leave scripts running for the next worker."""
        await self._loops.cancel()
        # A start whose intent is committed is seen through; all other work is left to whoever comes next.
        await self._starts.finish()
        await self._background.cancel()
        await self._tidying.finish()
        async with self._equipment.uow() as uow:
            await uow.claims.release(self._card.id)
            await uow.leases.stop(self._card.id)
            await uow.notify(Channel.WORK, self._equipment.pool)
        await self._equipment.executor.close()
        self._locks.release()
        if not self.live:
            self._locks.remove(self._card.id)

    async def propose(self, proposals: Sequence[Proposal]) -> None:
        """What Prefect wants to be run soon."""
        await self._claimer.propose(proposals)

    async def cancel_flow_run(self, flow_run_id: UUID) -> None:
        """What somebody cancelled in Prefect."""
        await self.canceller.cancel_flow_run(flow_run_id)

    async def _register(self) -> None:
        card = replace(self._card, warnings=list(self._equipment.executor.warnings))
        async with self._equipment.uow() as uow:
            await uow.leases.register(card, self._equipment.settings.lease_seconds)

    async def _listen(self) -> None:
        async with self._equipment.signals.subscribe(Channel.WORK, self._equipment.pool) as subscription:
            while True:
                await self._look(subscription)

    async def _look(self, subscription: Subscription) -> None:
        """One look at the database: new runs, requests to stop, places that have become free, strays."""
        await self._claimer.take()
        async with self._equipment.uow() as uow:
            running = await uow.ends.running(self._card.id)
        await self.canceller.stop([id_ for id_, wanted_by in running.items() if wanted_by])
        await self._starter.recheck()
        await self._adopter.look_for_strays(set(running))
        await subscription.wait(self._equipment.settings.poll_seconds)

    async def _start_due(self) -> None:
        """Take what is due and start it in the background, so that what is due next need not wait."""
        ids = await self._timer.due()
        self.live.busy.update(ids)
        self._starts.create_task(self._start(ids), name="start")

    async def _start(self, ids: list[UUID]) -> None:
        try:
            await self._starter.start(ids)
        # The database may be away for a moment; due is due, so it is tried until it is back.
        except Exception as error:  # noqa: BLE001 - it is told
            outages.failed(f"Starting {len(ids)} runs that are due", error, "again in a moment")
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
            self._starter.again(ids, self._equipment.now())
