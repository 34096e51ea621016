"""Looking at executions, and ending them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.domain.errors import Conflict
from platform_api.domain.executions import ExecutionStatus
from platform_api.ports.executions import Attempt, Execution, ExecutionFilter, Place
from platform_api.ports.reports import PrefectState, Report, ReportKind
from platform_api.ports.signals import Channel
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, not_found, remember, require
from platform_api.use_cases.job_access import load_job
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission
from rbac.policy import Resource

#: Rows that an export holds in memory at a time.
EXPORT_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """An execution with its attempts."""

    execution: Execution
    attempts: list[Attempt]


async def allowed(
    uow: UnitOfWork, caller: Caller, permission: Permission, execution_id: UUID, *, for_update: bool = False
) -> Execution:
    """The execution, if the caller may do this with it."""
    execution = await uow.executions.get(execution_id, for_update=for_update)
    if execution is None:
        raise not_found(Subject("execution", str(execution_id)))
    require(caller, permission, subject_of(execution), Resource(execution.owner_id, execution.team_id))
    return execution


def subject_of(execution: Execution) -> Subject:
    """How the audit trail names an execution."""
    return Subject("execution", str(execution.id), execution.job_name)


async def show(services: Services, caller: Caller, execution_id: UUID) -> Shown:
    """One execution."""
    async with guarded(services, caller) as uow:
        execution = await allowed(uow, caller, Permission.EXECUTION_VIEW, execution_id)
        return await _shown(uow, execution)


async def list_page(
    services: Services, caller: Caller, wanted: ExecutionFilter, behind: Place | None, limit: int
) -> list[Shown]:
    """A page of what the caller may see, newest first."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.EXECUTION_LIST, Subject("execution"))
        return await _page(uow, caller, wanted, behind, limit)


async def list_of_job(
    services: Services, caller: Caller, job_id: UUID, wanted: ExecutionFilter, behind: Place | None, limit: int
) -> list[Shown]:
    """A page of one job's executions, newest first."""
    async with guarded(services, caller) as uow:
        await load_job(uow, caller, Permission.EXECUTION_VIEW, job_id, deleted=True)
        return await _page(uow, caller, wanted, behind, limit)


async def export(services: Services, caller: Caller, wanted: ExecutionFilter) -> AsyncIterator[list[Shown]]:
    """Everything that matches, a batch at a time; who exported what is on record before the first.

    Each batch is a short transaction of its own that begins where the one before ended, so a slow reader holds
    neither memory nor a connection.
    """
    async with guarded(services, caller) as uow:
        require(caller, Permission.EXECUTION_EXPORT, Subject("execution"))
        await record(uow, caller, Action.EXECUTION_EXPORTED, Subject("execution"), new=_filter_in_words(wanted))
    return _batches(services, caller, wanted)


async def cancel(services: Services, caller: Caller, execution_id: UUID) -> Execution:
    """End what waits at once; ask the worker to stop what runs."""
    async with guarded(services, caller) as uow:
        execution = await allowed(uow, caller, Permission.EXECUTION_CANCEL, execution_id, for_update=True)
        if execution.status.is_terminal:
            raise Conflict(f"The execution is over already: it ended as {execution.status}.")
        email, now = caller.principal.email, services.clock.now()
        if await uow.executions.cancel_waiting(execution_id, email, now):
            await _tell_about_cancel(uow, execution_id, email)
        else:
            await uow.executions.request_cancel(execution_id, email, now)
        # A worker may hold the run, or another one that waits for its place.
        await uow.notify(Channel.WORK, execution.pool)
        await record(
            uow, caller, Action.EXECUTION_CANCELLED, subject_of(execution), old={"status": execution.status.value}
        )
        after = await uow.executions.get(execution_id) or execution
        await remember(uow, caller, after)
    return after


async def _tell_about_cancel(uow: UnitOfWork, execution_id: UUID, email: str) -> None:
    state = PrefectState("CANCELLED", "Cancelled", f"Cancelled by {email}")
    await uow.reports.add([Report(ReportKind.STATE, execution_id, state=state)])
    await uow.notify(Channel.EXECUTION, str(execution_id))


async def _page(
    uow: UnitOfWork, caller: Caller, wanted: ExecutionFilter, behind: Place | None, limit: int
) -> list[Shown]:
    found = await uow.executions.page(caller.principal, wanted, behind, limit)
    attempts = await uow.executions.attempts([execution.id for execution in found])
    return [Shown(execution, attempts.get(execution.id, [])) for execution in found]


async def _shown(uow: UnitOfWork, execution: Execution) -> Shown:
    return Shown(execution, (await uow.executions.attempts([execution.id])).get(execution.id, []))


async def _batches(services: Services, caller: Caller, wanted: ExecutionFilter) -> AsyncIterator[list[Shown]]:
    behind = None
    while True:
        async with services.uow() as uow:
            batch = await _page(uow, caller, wanted, behind, EXPORT_BATCH)
        if batch:
            yield batch
        if len(batch) < EXPORT_BATCH:
            return
        behind = Place(batch[-1].execution.queued_at, batch[-1].execution.id)


def _filter_in_words(wanted: ExecutionFilter) -> dict[str, object]:
    given = {
        "status": [ExecutionStatus(status).value for status in wanted.statuses],
        "triggered_by": [trigger.value for trigger in wanted.triggered_by],
        "from": wanted.since.isoformat() if wanted.since else None,
        "to": wanted.until.isoformat() if wanted.until else None,
        "job_id": str(wanted.job_id) if wanted.job_id else None,
        "owner": wanted.owner,
        "team": wanted.team,
    }
    return {name: value for name, value in given.items() if value}
