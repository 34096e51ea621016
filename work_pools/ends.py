"""Reports ends: all that arrive together in one transaction, each exactly once."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from platform_api.domain.executions import ExecutionStatus
from platform_api.ports.ends import Verdict
from platform_api.ports.reports import Report, ReportKind
from platform_api.ports.signals import Channel
from work_pools.equipment import Equipment
from work_pools.executors.protocol import AttemptRef
from work_pools.live import EndedRun, LiveRuns
from work_pools.loops import until_done
from work_pools.run_secrets import masked_end
from work_pools.starts import Starter
from work_pools.tasks import Tasks
from work_pools.timer import Timer
from work_pools.verdicts import judge, prefect_state

logger = logging.getLogger(__name__)

#: Logs being archived at the same moment.
TIDYING_AT_ONCE = 2


class Ender:
    """From the end of a script to its verdict, or to the next attempt."""

    def __init__(self, equipment: Equipment, live: LiveRuns, timer: Timer, starter: Starter, tasks: Tasks) -> None:
        self._equipment = equipment
        self._live = live
        self._timer = timer
        self._starter = starter
        self._tasks = tasks
        self._tidying = asyncio.Semaphore(TIDYING_AT_ONCE)

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            batch = await self._next_batch()
            verdicts = await until_done("Reporting ends", partial(self._report, batch))
            self._follow_up(batch, verdicts)
            if any(ended.run.is_exclusive for ended in batch):
                await until_done("Looking at who waits", self._starter.recheck)

    async def _next_batch(self) -> list[EndedRun]:
        batch = [await self._live.ended.get()]
        while not self._live.ended.empty():
            batch.append(self._live.ended.get_nowait())
        return batch

    async def _report(self, batch: list[EndedRun]) -> list[Verdict]:
        """Compare and swap: only attempts that are still ours and still running get their verdict."""
        async with self._equipment.uow() as uow:
            attempts = [(ended.run.ref.execution_id, ended.run.ref.attempt) for ended in batch]
            ours = await uow.ends.lock(self._equipment.worker.id, attempts)
            verdicts = [
                _verdict(ended, ours[ended.run.ref.execution_id])
                for ended in batch
                if ended.run.ref.execution_id in ours
            ]
            if verdicts:
                await uow.ends.finish(verdicts)
                await uow.reports.add(
                    [
                        Report(ReportKind.STATE, verdict.execution_id, state=prefect_state(verdict))
                        for verdict in verdicts
                    ]
                )
                await uow.notify_all(Channel.EXECUTION, [str(verdict.execution_id) for verdict in verdicts])
        return verdicts

    def _follow_up(self, batch: list[EndedRun], verdicts: list[Verdict]) -> None:
        """Committed. What a crash leaves undone from here on, the next worker finds by itself."""
        judged = {verdict.execution_id: verdict for verdict in verdicts}
        for ended in batch:
            self._live.forget(ended.run)
            verdict = judged.get(ended.run.ref.execution_id)
            if verdict is None:
                logger.info("%s is another worker's, or reported already", ended.run.ref)
                continue
            if verdict.next_attempt_at:
                self._timer.add(verdict.execution_id, verdict.next_attempt_at, ended.run.priority)
            self.tidy(ended.run.ref, archive=verdict.execution_status is not ExecutionStatus.RETRYING)

    def tidy(self, ref: AttemptRef, *, archive: bool) -> None:
        """Archive the log of a finished execution and remove what the executor keeps, in the background."""
        self._tasks.create_task(self._tidy(ref, archive), name=f"tidy-{ref.execution_id}")

    async def _tidy(self, ref: AttemptRef, archive: bool) -> None:
        async with self._tidying:
            await until_done("Discarding a run directory", lambda: self._equipment.executor.discard(ref))
            if archive:
                await until_done("Archiving a log", lambda: self._equipment.logs.archive(ref.execution_id))


def _verdict(ended: EndedRun, cancelled_by: str | None) -> Verdict:
    return judge(
        ended.run.ref.execution_id,
        ended.run.spec,
        masked_end(ended.end, ended.run.masker),
        last_error_line=ended.last_error_line,
        cancelled_by=cancelled_by,
    )
