"""Stays alive in the eyes of others, and notices who does not."""

from __future__ import annotations

import asyncio
import logging
import time

from platform_api.ports.leases import Peer, WorkerCard
from work_pools.adoption import Adopter
from work_pools.equipment import Equipment
from work_pools.lock_file import LockFiles

logger = logging.getLogger(__name__)

#: A lease is renewed this many times before it would run out.
RENEWALS_PER_LEASE = 5


class Lease:
    """Renews this worker's lease and takes over from workers whose own has run out."""

    def __init__(self, equipment: Equipment, card: WorkerCard, locks: LockFiles, adopter: Adopter) -> None:
        self._equipment = equipment
        self._card = card
        self._locks = locks
        self._adopter = adopter
        self._seconds = equipment.settings.lease_seconds
        self._trusted_since = time.monotonic()

    async def step(self) -> None:
        """Renew, look around, wait."""
        async with self._equipment.uow() as uow:
            in_time = await uow.leases.renew(self._card.id, self._seconds)
            peers = await uow.leases.peers(self._card.id, self._card.pool)
        if not in_time:
            logger.warning("The lease had run out: the database or this machine was away")
            self._trusted_since = time.monotonic()
        for worker_id in self._locks.left_behind():
            await self._adopter.take_over(worker_id, scripts_too=True)
            self._locks.remove(worker_id)
        for peer in peers:
            if self._is_dead(peer):
                await self._adopter.take_over(peer.id, scripts_too=self._locks.is_here(peer.id))
        await asyncio.sleep(self._seconds / RENEWALS_PER_LEASE)

    def _is_dead(self, peer: Peer) -> bool:
        """An expired lease only says so while one's own has not lapsed:

        after an outage of the database everybody's lease is over, and all are alive.
        """
        return peer.expired and time.monotonic() - self._trusted_since >= self._seconds
