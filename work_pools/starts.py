"""Starts what is due: one transaction for all, the intent committed before the first process is made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus, TriggeredBy
from platform_api.domain.jobs import JobSpec
from platform_api.ports.claims import HeldRun
from platform_api.ports.reports import RUNNING, RUNNING_AGAIN, Report, ReportKind
from platform_api.ports.secrets import NO_SECRETS, SecretValues
from platform_api.ports.signals import Channel
from platform_api.ports.starts import Refusal, Start
from platform_api.ports.unit_of_work import UnitOfWork
from work_pools import messages
from work_pools.eligibility import Course, Decision, decide, waits, was_missed
from work_pools.environment import environment, order
from work_pools.equipment import Equipment
from work_pools.executors.protocol import AlreadyStarted, AttemptEnd, AttemptOrder, AttemptRef, EndCause, Standing
from work_pools.live import EndedRun, LiveRun, LiveRuns
from work_pools.loops import until_done
from work_pools.masking import TRANSPARENT, Masker
from work_pools.run_secrets import masker_for, masker_of
from work_pools.secrets_ahead import SecretsAhead
from work_pools.timer import Timer
from work_pools.verdicts import refused_state

logger = logging.getLogger(__name__)

#: Processes being made at the same moment; more only get into each other's way.
STARTS_AT_ONCE = 32

#: A start that failed for reasons of the database is tried again after this long.
AGAIN_AFTER_SECONDS = 0.5


@dataclass(slots=True)
class Outcome:
    """What one transaction decided about the runs that were due."""

    begun: list[tuple[HeldRun, Decision]] = field(default_factory=list)
    waiting: list[HeldRun] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ready:
    """An order that is prepared."""

    version: int
    #: Without its secrets: they are read just ahead of the start.
    order: AttemptOrder


class Starter:
    """From the timer to a running script."""

    def __init__(self, equipment: Equipment, timer: Timer, live: LiveRuns, secrets: SecretsAhead) -> None:
        self._equipment = equipment
        self._secrets = secrets
        self._timer = timer
        self._live = live
        self._at_once = asyncio.Semaphore(STARTS_AT_ONCE)
        self._prepared: dict[AttemptRef, Ready] = {}
        self._started: list[tuple[UUID, int, datetime]] = []
        self._any_started = asyncio.Event()
        #: Due, but their job is busy: looked at again when something of it ends.
        self.waiting: dict[UUID, HeldRun] = {}
        #: Called from waiting by job, and not decided about yet: who comes next must not overtake them.
        self._called: dict[UUID, UUID] = {}

    async def prepare(self, run: HeldRun) -> None:
        """Make ready what is claimed ahead; a failure shows at the start."""
        ref = AttemptRef(run.id, run.attempt)
        if ref not in self._prepared and run.id in self._timer:
            self._secrets.expect(run)
            self._prepared[ref] = await self._make_ready(run, run.version, run.spec)

    async def start(self, ids: Sequence[UUID]) -> None:
        """Decide about all, then start those that may, in their order."""
        self._live.busy.update(ids)
        for id_ in ids:
            self.waiting.pop(id_, None)
        try:
            with self._equipment.precedence.taken():
                async with self._equipment.uow() as uow:
                    outcome = await self._decide(uow, ids)
                await self._act(outcome)
        finally:
            self._live.busy.difference_update(ids)
            self._called = {job_id: id_ for job_id, id_ in self._called.items() if id_ not in ids}

    async def _act(self, outcome: Outcome) -> None:
        """What was decided is committed; a crash from here on is an adoption (never started: start now)."""
        for run in outcome.waiting:
            self.waiting[run.id] = run
        for id_ in outcome.gone:
            await self._forget(id_)
        async with asyncio.TaskGroup() as tasks:
            for run, decision in outcome.begun:
                tasks.create_task(self.launch(run, decision.version, decision.spec))

    async def launch(self, run: HeldRun, version: int, spec: JobSpec, *, adopted: bool = False) -> None:
        """Start the script of an attempt that is marked as running, and watch it."""
        ref = AttemptRef(run.id, run.attempt)
        masker: Masker | None = None
        if adopted:
            # Whoever adopts has sealed what was prepared.
            self._prepared.pop(ref, None)
        try:
            # A store that thinks must not take a place from those who are ready.
            secrets = await self._secrets.take(run, spec)
            masker = masker_for(secrets.confidential)
            async with self._at_once:
                moment = await self._begin_script(ref, run, version, spec, secrets)
        except AlreadyStarted:
            logger.info("%s has been started before; it is watched", ref)
            # With which values, only the store can tell.
            masker = None
        # Whatever went wrong, the attempt is marked as running and must come to an end.
        except Exception as error:
            logger.exception("%s could not be started", ref)
            if await self._ends_unstarted(LiveRun.of(run, spec, masker or TRANSPARENT, adopted=adopted), error):
                return
        else:
            self._started.append((run.id, run.attempt, moment))
            self._any_started.set()
        if masker is None:
            masker = await masker_of(self._equipment, run, spec)
        self._live.watch(LiveRun.of(run, spec, masker, adopted=adopted))

    async def _ends_unstarted(self, live: LiveRun, error: Exception) -> bool:
        """Report an attempt that did not start, once it is certain that it never will."""
        if await self._equipment.executor.standing(live.ref) is not Standing.NEVER_STARTED:
            return False
        self._prepared.pop(live.ref, None)
        text = f"The script could not be started: {error}"
        end = AttemptEnd(live.ref, EndCause.NOT_STARTED, None, self._equipment.now(), error=text)
        self._live.ended.put_nowait(EndedRun(live, end, None))
        return True

    async def _begin_script(
        self, ref: AttemptRef, run: HeldRun, version: int, spec: JobSpec, secrets: SecretValues
    ) -> datetime:
        ready = (await self._ready(ref, run, version, spec)).order
        if secrets.env:
            ready = replace(ready, env=environment(run, spec, secrets))
        return await self._equipment.executor.start(ready)

    async def _ready(self, ref: AttemptRef, run: HeldRun, version: int, spec: JobSpec) -> Ready:
        prepared = self._prepared.pop(ref, None)
        if prepared and prepared.version == version:
            return prepared
        if prepared:
            # An older version was made ready: make that order void before there is another.
            await self._equipment.executor.standing(ref)
        return await self._make_ready(run, version, spec)

    async def _make_ready(self, run: HeldRun, version: int, spec: JobSpec) -> Ready:
        ready = order(run, spec, NO_SECRETS, self._equipment.settings.stop_grace_seconds)
        await self._equipment.executor.prepare(ready)
        return Ready(version, ready)

    async def _decide(self, uow: UnitOfWork, ids: Sequence[UUID]) -> Outcome:
        now = self._equipment.now()
        runs = await uow.claims.read(self._equipment.worker.id, ids)
        decided = [(run, decide(run, self._equipment.ticks, now)) for run in runs]
        decided = await self._catch_up(uow, decided, now)
        outcome = Outcome(gone=[id_ for id_ in ids if id_ not in {run.id for run in runs}])
        await self._drop(uow, [run for run, decision in decided if decision.course is Course.DROP], outcome)
        refusals = [_refusal(run, decision) for run, decision in decided if decision.course in _REFUSALS]
        wanted = [(run, decision) for run, decision in decided if decision.course is Course.START]
        wanted = await self._behind_others(uow, wanted, outcome)
        if wanted:
            refusals += await self._begin(uow, wanted, outcome)
        await self._refuse(uow, refusals, outcome)
        changed = [run.id for run, _ in outcome.begun] + [refusal.id for refusal in refusals]
        await uow.notify_all(Channel.EXECUTION, map(str, changed))
        return outcome

    async def _behind_others(
        self, uow: UnitOfWork, wanted: list[tuple[HeldRun, Decision]], outcome: Outcome
    ) -> list[tuple[HeldRun, Decision]]:
        """Let a run that waits its turn come behind those of its job that wait already; the others are returned."""
        first = {run.job_id: run for run in sorted(self.waiting.values(), key=lambda run: run.due_at, reverse=True)}
        reasons: list[tuple[UUID, str]] = []
        for run, decision in wanted:
            earlier = first.get(run.job_id)
            may_overtake = run.status is ExecutionStatus.RETRYING or not waits(run, decision.spec)
            if earlier and earlier.due_at < run.due_at and decision.exclusive and not may_overtake:
                outcome.waiting.append(run)
                reasons.append((run.id, messages.waits_for(earlier.id)))
        if reasons:
            await uow.starts.wait(reasons)
        behind = {id_ for id_, _ in reasons}
        return [(run, decision) for run, decision in wanted if run.id not in behind]

    async def _catch_up(
        self, uow: UnitOfWork, decided: list[tuple[HeldRun, Decision]], now: datetime
    ) -> list[tuple[HeldRun, Decision]]:
        """Note of missed ticks that are run after all that they are made up for."""
        missed = {run.id for run, decision in decided if decision.course is Course.START and was_missed(run, now)}
        if not missed:
            return decided
        await uow.claims.caught_up(list(missed))
        return [(replace(r, triggered_by=TriggeredBy.CATCH_UP) if r.id in missed else r, d) for r, d in decided]

    async def _begin(self, uow: UnitOfWork, wanted: list[tuple[HeldRun, Decision]], outcome: Outcome) -> list[Refusal]:
        """Mark as running whoever finds a place; the others wait or are skipped."""
        starts = [Start(run.id, decision.version, decision.exclusive) for run, decision in _one_per_place(wanted)]
        begun = await uow.starts.begin(self._equipment.worker, starts, self._equipment.now())
        outcome.begun = [(run, decision) for run, decision in wanted if run.id in begun]
        await uow.reports.add([_running(run) for run, _ in outcome.begun])
        return await self._turn_away(uow, [(r, d) for r, d in wanted if r.id not in begun], outcome)

    async def _turn_away(
        self, uow: UnitOfWork, losers: list[tuple[HeldRun, Decision]], outcome: Outcome
    ) -> list[Refusal]:
        if not losers:
            return []
        occupants = await uow.starts.occupants([run.job_id for run, _ in losers])
        refusals: list[Refusal] = []
        for run, decision in losers:
            occupant = occupants.get(run.job_id)
            if occupant is None or waits(run, decision.spec):
                outcome.waiting.append(run)
            else:
                refusals.append(Refusal(run.id, ExecutionStatus.SKIPPED, messages.still_running(occupant)))
        waiting = [run for run in outcome.waiting if run.job_id in occupants]
        reasons = [(run.id, messages.waits_for(occupants[run.job_id])) for run in waiting]
        if reasons:
            await uow.starts.wait(reasons)
            await uow.notify_all(Channel.EXECUTION, [str(id_) for id_, _ in reasons])
        return refusals

    async def _refuse(self, uow: UnitOfWork, refusals: list[Refusal], outcome: Outcome) -> None:
        if not refusals:
            return
        await uow.starts.refuse(refusals, self._equipment.now())
        await uow.reports.add(
            [Report(ReportKind.STATE, r.id, state=refused_state(r.status, r.reason)) for r in refusals]
        )
        outcome.gone += [refusal.id for refusal in refusals]

    async def _drop(self, uow: UnitOfWork, runs: list[HeldRun], outcome: Outcome) -> None:
        if not runs:
            return
        ids = [run.id for run in runs]
        await uow.starts.drop(ids)
        flow_runs = [run.flow_run_id for run in runs if run.flow_run_id]
        await uow.reports.add([Report(ReportKind.DELETE, flow_run_id=id_) for id_ in flow_runs])
        outcome.gone += ids

    async def recheck(self) -> None:
        """Let those start whose job's place has become free, or who are not to wait any more."""
        waiting = [run.id for run in self.waiting.values() if run.job_id not in self._called]
        if not waiting:
            return
        async with self._equipment.uow() as uow:
            free = await uow.starts.unblocked(self._equipment.worker.id, waiting)
        for id_ in free:
            run = self.waiting.get(id_)
            if run is not None and run.job_id not in self._called:
                self._called[run.job_id] = id_
                del self.waiting[id_]
                self._timer.add(id_, run.due_at, run.priority)

    async def correct(self) -> None:
        """Store the scripts' own starting times, as many at once as there are; one step of a loop."""
        await self._any_started.wait()
        self._any_started.clear()
        started, self._started = self._started, []
        async with self._equipment.uow() as uow:
            await uow.starts.correct(started)
            await uow.notify_all(Channel.EXECUTION, [str(id_) for id_, _, _ in started])

    async def _forget(self, execution_id: UUID) -> None:
        """Remove what was prepared for a run that does not start."""
        self._secrets.forget(execution_id)
        for ref in [ref for ref in self._prepared if ref.execution_id == execution_id]:
            del self._prepared[ref]
            await until_done("Discarding what was prepared", partial(self._equipment.executor.discard, ref))

    def again(self, ids: Iterable[UUID], at: datetime) -> None:
        """Try later what the database could not decide now."""
        for id_ in ids:
            self._timer.add(id_, at, 0)


_REFUSALS = {Course.SKIP: ExecutionStatus.SKIPPED, Course.CANCEL: ExecutionStatus.CANCELLED}


def _refusal(run: HeldRun, decision: Decision) -> Refusal:
    return Refusal(run.id, _REFUSALS[decision.course], decision.reason)


def _running(run: HeldRun) -> Report:
    return Report(ReportKind.STATE, run.id, state=RUNNING if run.attempt == 1 else RUNNING_AGAIN)


def _one_per_place(wanted: list[tuple[HeldRun, Decision]]) -> list[tuple[HeldRun, Decision]]:
    """Of runs that need the same place, the first; the order is that of ``claims.read``."""
    first: dict[UUID, tuple[HeldRun, Decision]] = {}
    # A run between two attempts has its place already.
    for run, decision in sorted(wanted, key=lambda pair: pair[0].status is not ExecutionStatus.RETRYING):
        first.setdefault(run.job_id if decision.exclusive else run.id, (run, decision))
    return list(first.values())
