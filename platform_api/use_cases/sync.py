"""Prefect shows what we store: the outcome half of every change to a job (D7).

A change commits its intent by growing the job's ``generation``. Showing it is, under a lock of the job's own:

1. read the newest generation, if it is not shown yet;
2. write it to Prefect as a whole, which may be repeated;
3. note the generation that Prefect shows now.

The lock keeps two processes from writing generations out of order; it is the database's, so it goes with the
process that holds it. A crash between any two steps leaves the job behind, and the reconciler begins at 1 again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from uuid import UUID
from weakref import WeakKeyDictionary

from platform_api.domain.errors import Unavailable
from platform_api.domain.jobs import JobStatus
from platform_api.ports.orchestrator import OrchestratorRefused, OrchestratorUnavailable
from platform_api.ports.signals import Channel
from platform_api.use_cases.services import Services

#: A round of the reconciler comes at least this often, whether or not it was woken.
ROUND_SECONDS = 3.0
#: How long the reconciler gives one job; a person waits less.
DEADLINE_SECONDS = 20.0
#: A job that could not be shown is tried again after 1, 2, 4, ... seconds, at most this.
LONGEST_PAUSE_SECONDS = 15.0
#: A job whose Prefect is away stays "pending" for so many tries, then it says "failed" and why.
FAILURES_UNTIL_NOTED = 3
#: How often all deployments are compared with all jobs.
COMPARE_SECONDS = 600.0
BATCH = 100

logger = logging.getLogger(__name__)

_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def sync_job(services: Services, job_id: UUID, within_seconds: float) -> None:
    """Try to show the job to Prefect now. Never raises for trouble with Prefect: the reconciler goes on with it."""
    try:
        async with asyncio.timeout(within_seconds):
            await _show(services, job_id, wait=True)
    except TimeoutError:
        # Not a failure yet: Prefect is slow or busy, the job stays pending.
        logger.info("job %s is not shown in Prefect within %g s; the reconciler goes on", job_id, within_seconds)
    except OrchestratorRefused as refusal:
        await _note(services, job_id, refusal)
    except OrchestratorUnavailable as trouble:
        logger.info("job %s is not shown in Prefect: %s", job_id, trouble)


async def reconcile_forever(services: Services) -> None:
    """Show every job that is behind, for as long as the process lives."""
    reconciler, is_away = Reconciler(services), False
    async with services.signals.subscribe(Channel.SYNC) as wake_ups:
        while True:
            try:
                await reconciler.round()
                is_away = False
            except Unavailable as error:
                # Told once, not at every round.
                if not is_away:
                    logger.warning("changes are not shown in Prefect for now: %s", error)
                is_away = True
            except Exception:
                # Whatever a round met (the database restarting, a bug in one answer of Prefect's), the next round
                # must come: without this loop no failed change would ever reach Prefect.
                logger.exception("a round of the reconciler failed")
            await wake_ups.wait(ROUND_SECONDS)


class Reconciler:
    """What the rounds remember: which jobs to leave alone for a while, and when to compare everything."""

    def __init__(self, services: Services) -> None:
        self._services = services
        #: Failures and the time of the next try, by job and generation: a new change is tried at once.
        self._pauses: dict[tuple[UUID, int], tuple[int, float]] = {}
        self._compare_at = 0.0

    async def round(self) -> None:
        """Compare everything if it is time, then show what is behind."""
        await self._compare_if_due()
        async with self._services.uow() as uow:
            behind = await uow.sync.behind(BATCH)
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in behind}
        now = time.monotonic()
        due = [key for key in behind if self._pauses.get(key, (0, 0.0))[1] <= now]
        width = self._services.settings.prefect_concurrency
        for start in range(0, len(due), width):
            shown = await asyncio.gather(*(self._try(key) for key in due[start : start + width]))
            if not any(shown):
                # Prefect is most likely away: the others would wait for their deadlines in vain.
                return

    async def _try(self, key: tuple[UUID, int]) -> bool:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await _show(self._services, key[0], wait=False)
        except (OrchestratorUnavailable, TimeoutError) as trouble:
            await self._pause(key, trouble)
            return False
        return True

    async def _pause(self, key: tuple[UUID, int], trouble: Exception) -> None:
        failures = self._pauses.get(key, (0, 0.0))[0]
        pause = min(2.0**failures, LONGEST_PAUSE_SECONDS)
        self._pauses[key] = (failures + 1, time.monotonic() + pause)
        logger.warning("job %s is not shown in Prefect: %s; next try in %g s", key[0], trouble, pause)
        if isinstance(trouble, OrchestratorRefused) or failures + 1 >= FAILURES_UNTIL_NOTED:
            await _note(self._services, key[0], trouble)
        # Prefect may come back with another database.
        self._compare_at = 0.0

    async def _compare_if_due(self) -> None:
        if time.monotonic() < self._compare_at:
            return
        try:
            await compare(self._services)
        except OrchestratorUnavailable as trouble:
            logger.warning("deployments are not compared with jobs: %s", trouble)
            return
        self._compare_at = time.monotonic() + COMPARE_SECONDS


async def compare(services: Services) -> int:
    """Put jobs behind again whose deployments are missing or left over; how many."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        deployments = await services.orchestrator.deployments()
    async with services.uow() as uow:
        return await uow.sync.mark_missing(deployments)


async def _show(services: Services, job_id: UUID, *, wait: bool) -> None:
    """The three steps. They hold a database connection while Prefect answers, so few of them go at a time."""
    async with _place(services), services.uow() as uow:
        if not await uow.sync.lock(job_id, wait=wait):
            return
        task = await uow.sync.task(job_id, services.settings.base_url)
        if task is None:
            return
        deployment_id = None
        if task.intent.status is JobStatus.DELETED:
            await services.orchestrator.remove(task.intent)
        else:
            deployment_id = await services.orchestrator.apply(task.intent)
        await uow.sync.done(job_id, task.generation, deployment_id)


def _place(services: Services) -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    return _places.setdefault(loop, asyncio.Semaphore(services.settings.prefect_concurrency))


async def _note(services: Services, job_id: UUID, trouble: Exception) -> None:
    async with services.uow() as uow:
        await uow.sync.failed(job_id, str(trouble) or "Prefect did not answer in time.")
