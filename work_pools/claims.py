"""Claims runs ahead of their time: those that Prefect proposes, and those in our database that nobody holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from platform_api.domain.executions import ExecutionStatus
from platform_api.ports.claims import Admission, HeldRun, Proposal
from platform_api.ports.reports import PENDING, PrefectState, Report, ReportKind
from platform_api.ports.unit_of_work import UnitOfWork
from work_pools import messages
from work_pools.equipment import Equipment
from work_pools.live import LiveRuns
from work_pools.outages import outages
from work_pools.proposals import judge
from work_pools.starts import Starter
from work_pools.tasks import Tasks
from work_pools.timer import Timer
from work_pools.verdicts import refused_state

#: Rows taken in one statement; more come with the next.
TAKEN_AT_ONCE = 500

#: Folders made ready at the same moment.
PREPARING_AT_ONCE = 4


class Claimer:
    """Fills the timer."""

    def __init__(self, equipment: Equipment, timer: Timer, live: LiveRuns, starter: Starter, tasks: Tasks) -> None:
        self._equipment = equipment
        self._timer = timer
        self._live = live
        self._starter = starter
        self._tasks = tasks
        self._preparing = asyncio.Semaphore(PREPARING_AT_ONCE)

    async def propose(self, proposals: Sequence[Proposal]) -> None:
        """Write rows for those that are to run, and tell Prefect about those that are not; all in one transaction."""
        async with self._equipment.uow() as uow:
            known = await uow.claims.known([proposal.flow_run_id for proposal in proposals])
            fresh = [proposal for proposal in proposals if proposal.flow_run_id not in known]
            if not fresh:
                return
            jobs = await uow.claims.jobs([proposal.job_id for proposal in fresh])
            judgement = judge(fresh, jobs, self._equipment.ticks, self._equipment.now())
            admitted = await self._admit(uow, judgement.admissions)
            written = {admission.id for admission in admitted}
            lost = {admission.id for admission in judgement.admissions} - written
            losers = [proposal for proposal in fresh if proposal.flow_run_id in lost and not proposal.by_hand]
            await self._refuse(uow, [*judgement.passed, *losers])
            await uow.reports.add([Report(ReportKind.DELETE, flow_run_id=id_) for id_ in judgement.unwanted])
        for admission in admitted:
            self._timer.add(admission.id, admission.due_at, admission.priority)

    async def _admit(self, uow: UnitOfWork, admissions: list[Admission]) -> list[Admission]:
        if not admissions:
            return []
        ids = await uow.claims.admit(self._equipment.worker.id, self._equipment.pool, admissions)
        admitted = [admission for admission in admissions if admission.id in ids]
        await uow.reports.add([Report(ReportKind.STATE, admission.id, state=PENDING) for admission in admitted])
        return admitted

    async def _refuse(self, uow: UnitOfWork, losers: list[Proposal]) -> None:
        """Flow runs whose tick has an execution become that one's own, or, if it has one, are cancelled.

        One that another worker has claimed meanwhile is neither. A passed tick without an execution is settled by
        the agenda in a moment; Prefect proposes the flow run again.
        """
        if not losers:
            return
        adopted = await uow.claims.adopt(losers)
        skipped = [run for run in adopted if run.status is ExecutionStatus.SKIPPED]
        states = {run.execution_id: refused_state(run.status, run.reason or "") for run in skipped}
        await uow.reports.add([Report(ReportKind.STATE, id_, state=state) for id_, state in states.items()])
        known = await uow.claims.known([loser.flow_run_id for loser in losers])
        others = [loser for loser in losers if loser.flow_run_id not in known]
        taken = await uow.claims.ticks_taken([(loser.job_id, loser.scheduled_for) for loser in others])
        second = [loser for loser in others if (loser.job_id, loser.scheduled_for) in taken]
        cancelled = PrefectState("CANCELLED", "Cancelled", messages.TICK_TAKEN)
        await uow.reports.add(
            [Report(ReportKind.STATE, flow_run_id=loser.flow_run_id, state=cancelled) for loser in second]
        )

    async def take(self) -> None:
        """Take what nobody holds, and what we hold but have forgotten."""
        until = self._equipment.now() + timedelta(seconds=self._equipment.settings.prefetch_seconds)
        known = [*self._timer.ids(), *self._starter.waiting, *self._live.busy]
        async with self._equipment.uow() as uow:
            runs = await uow.claims.take(self._equipment.worker.id, self._equipment.pool, until, TAKEN_AT_ONCE, known)
        for run in runs:
            self.expect(run)

    def expect(self, run: HeldRun) -> None:
        """Start the run when it is due; until then make it ready."""
        self._timer.add(run.id, run.due_at, run.priority)
        if run.due_at > self._equipment.now():
            self._tasks.create_task(self._prepare(run), name=f"prepare-{run.id}")

    async def _prepare(self, run: HeldRun) -> None:
        async with self._preparing:
            try:
                await self._starter.prepare(run)
            # Only haste is lost: the start makes the same folder again and reports what is wrong.
            except Exception as error:  # noqa: BLE001 - it is told
                outages.failed(f"Making run {run.id} ready ahead of its time", error, "it is done at its start")
