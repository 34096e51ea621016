"""Tells Prefect what happened: behind, in order per execution, many at once, never in the way of a start (D2)."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

import httpx

from platform_api.ports.reports import PENDING, Leadership, PendingReport, PrefectState, ReportKind
from work_pools.cancels import Canceller
from work_pools.equipment import Equipment
from work_pools.excerpts import Excerpts
from work_pools.outages import outages, prefect_outage
from work_pools.prefect_api import PrefectApi, Reception

logger = logging.getLogger(__name__)

_STEP = "Telling Prefect"

#: Reports looked at in one round, and how many of them one call may carry (Prefect's own limit).
ROUND = 500
CALL = 50

#: A backlog longer than this leaves out what later states make needless.
LONG_BACKLOG = 200

PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0

#: Answers that will not change by asking again, and how often we ask nevertheless.
_REFUSALS = frozenset({400, 404, 409, 422})
TRIES = 5

_STOPPED_THERE = frozenset({"CANCELLED", "CANCELLING"})
_FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Group:
    """Reports that one call can carry: the same kind, the same state, different flow runs."""

    kind: ReportKind
    state: PrefectState | None
    reports: list[PendingReport]


class Reporter:
    """One process at a time is in this office; the others look now and then whether it is free."""

    def __init__(self, equipment: Equipment, leadership: Leadership, prefect: PrefectApi, canceller: Canceller) -> None:
        self._equipment = equipment
        self._leadership = leadership
        self._prefect = prefect
        self._canceller = canceller
        self._excerpts = Excerpts(equipment, prefect)
        self._calls = asyncio.Semaphore(equipment.settings.prefect_concurrency)
        self._failures = 0
        self._is_away = False

    async def run(self) -> None:
        """Report for as long as the office is held; a step of a loop."""
        async with self._leadership.reporting() as ensure:
            while ensure is not None:
                await ensure()
                if not await self.round():
                    await self.show_logs()
                    await asyncio.sleep(self._pause())
        await asyncio.sleep(self._equipment.settings.lease_seconds)

    async def round(self) -> bool:
        """Send the next report of each execution; True when there may be more at once."""
        await self._equipment.precedence.give_way()
        async with self._equipment.uow() as uow:
            if (await uow.reports.backlog()).count > LONG_BACKLOG:
                await uow.reports.skip_superseded()
            reports = await uow.reports.next(ROUND)
            await uow.reports.count_try([report.id for report in reports])
        self._is_away = False
        done = await asyncio.gather(*(self._send(group) for group in _groups(reports)))
        self._failures = self._failures + 1 if self._is_away else 0
        if any(done) and not self._is_away:
            outages.succeeded(_STEP)
        return any(done) and not self._is_away

    async def show_logs(self) -> bool:
        """Let Prefect show some of what ended runs wrote; for a quiet moment. False when there is nothing to show."""
        return not self._is_away and await self._excerpts.send()

    def _pause(self) -> float:
        return min(PAUSE_SECONDS * float(2 ** min(self._failures, 10)), LONGEST_PAUSE_SECONDS)

    async def _send(self, group: Group) -> bool:
        """Send one group; True when some of it is done. The rest stays for the next round."""
        sends: dict[ReportKind, Callable[[Group], Awaitable[list[int]]]] = {
            ReportKind.CREATE: self._create,
            ReportKind.STATE: self._set_state,
            ReportKind.DELETE: self._delete,
        }
        try:
            async with self._calls:
                await self._equipment.precedence.give_way()
                done = await sends[group.kind](group)
        except httpx.HTTPError as error:
            done = await self._failed(group, error)
        async with self._equipment.uow() as uow:
            await uow.reports.done(done)
        return bool(done)

    async def _failed(self, group: Group, error: httpx.HTTPError) -> list[int]:
        """Wait for a Prefect that is away; give up reports that it has refused again and again."""
        text = str(error) or type(error).__name__
        if prefect_outage(error):
            outages.failed(_STEP, error, "the reports wait")
        else:
            logger.warning("Prefect did not take %d reports: %s", len(group.reports), text)
        await self._note([report.id for report in group.reports], text)
        if not (isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _REFUSALS):
            self._is_away = True
            return []
        given_up = [report.id for report in group.reports if report.tries >= TRIES]
        if given_up:
            logger.error("Given up telling Prefect %s: %s", group.state or group.kind, error.response.text)
        return given_up

    async def _note(self, ids: list[int], error: str) -> None:
        async with self._equipment.uow() as uow:
            await uow.reports.count_try(ids, error)

    async def _create(self, group: Group) -> list[int]:
        """A flow run for an execution that Prefect has not proposed; a job without a deployment is waited for."""
        (report,) = group.reports
        if report.deployment_id is None or report.execution_id is None:
            await self._note([report.id], "The job has no deployment in Prefect yet")
            return []
        state = report.state or PENDING
        flow_run_id = await self._prefect.create_flow_run(report.deployment_id, report.execution_id, state)
        if flow_run_id is not None:
            async with self._equipment.uow() as uow:
                await uow.reports.created(report.execution_id, flow_run_id)
        return [report.id]

    async def _delete(self, group: Group) -> list[int]:
        await self._prefect.delete([r.flow_run_id for r in group.reports if r.flow_run_id])
        return [report.id for report in group.reports]

    async def _set_state(self, group: Group) -> list[int]:
        """Propose; where Prefect's rules object, find out why, and insist only where we are right."""
        state = group.state
        if state is None:
            return [report.id for report in group.reports]
        open_reports = await self._not_there_yet(group.reports, state)
        if open_reports:
            receptions = await self._prefect.set_state(_flow_runs(open_reports), state)
            refused = [r for r in open_reports if not _is_taken(receptions.get(_run(r)), state)]
            stopped = [r for r in refused if _was_stopped_there(receptions.get(_run(r)), state)]
            for report in stopped:
                await self._canceller.cancel_flow_run(_run(report))
            insisted = [r for r in refused if r not in stopped]
            if insisted:
                await self._prefect.set_state(_flow_runs(insisted), state, force=True)
            if state.type in _FINAL:
                self._expect_logs(open_reports)
        return [report.id for report in group.reports]

    def _expect_logs(self, reports: Iterable[PendingReport]) -> None:
        for report in reports:
            if report.execution_id is not None:
                self._excerpts.expect(report.execution_id, _run(report))

    async def _not_there_yet(self, reports: list[PendingReport], state: PrefectState) -> list[PendingReport]:
        """Leave out what an earlier, interrupted try may have told Prefect, so that nobody is alerted twice."""
        known = [report for report in reports if report.flow_run_id]
        doubtful = [report for report in known if report.tries > 0]
        if not doubtful:
            return known
        present = await self._prefect.states(_flow_runs(doubtful))
        there = {report.id for report in doubtful if present.get(_run(report)) == (state.type, state.name)}
        return [report for report in known if report.id not in there]


def _is_taken(reception: Reception | None, state: PrefectState) -> bool:
    """Accepted, there already, or about a flow run that somebody has deleted."""
    return reception is None or reception.accepted or (reception.type, reception.name) == (state.type, state.name)


def _was_stopped_there(reception: Reception | None, state: PrefectState) -> bool:
    """Somebody cancelled the run in Prefect while it was on its way here."""
    return reception is not None and reception.type in _STOPPED_THERE and state.type not in _FINAL


def _run(report: PendingReport) -> UUID:
    if report.flow_run_id is None:
        raise ValueError(f"report {report.id} is about no flow run")
    return report.flow_run_id


def _flow_runs(reports: Iterable[PendingReport]) -> list[UUID]:
    return [_run(report) for report in reports]


def _groups(reports: Iterable[PendingReport]) -> list[Group]:
    """Group what may go together, in calls of at most ``CALL``; a creation goes alone."""
    together: defaultdict[tuple[ReportKind, PrefectState | None], list[PendingReport]] = defaultdict(list)
    groups: list[Group] = []
    for report in reports:
        if report.kind is ReportKind.CREATE:
            groups.append(Group(report.kind, None, [report]))
        else:
            together[report.kind, report.state].append(report)
    for (kind, state), members in together.items():
        groups.extend(Group(kind, state, members[i : i + CALL]) for i in range(0, len(members), CALL))
    return groups
