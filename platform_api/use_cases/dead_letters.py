"""Failures that wait for a person."""

from __future__ import annotations

from uuid import UUID

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.domain.errors import Conflict
from platform_api.ports.executions import Execution, Place
from platform_api.ports.runs import NewRun
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.executions import Shown, allowed, subject_of
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.runs import repeat
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission


async def list_page(services: Services, caller: Caller, behind: Place | None, limit: int) -> list[Shown]:
    """A page of the failures that the caller may see, the latest first."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.DEAD_LETTER_LIST, Subject("dead_letter"))
        found = await uow.dead_letters.page(caller.principal, behind, limit)
        attempts = await uow.executions.attempts([execution.id for execution in found])
        return [Shown(execution, attempts.get(execution.id, [])) for execution in found]


async def replay(services: Services, caller: Caller, execution_id: UUID) -> NewRun:
    """Run it again, once however many try at the same time."""
    async with guarded(services, caller) as uow:
        execution = await _taken(services, uow, caller, Permission.DEAD_LETTER_REPLAY, execution_id)
        return await repeat(services, uow, caller, execution, Action.DEAD_LETTER_REPLAYED)


async def dismiss(services: Services, caller: Caller, execution_id: UUID) -> None:
    """Take it off the list without running it again."""
    async with guarded(services, caller) as uow:
        execution = await _taken(services, uow, caller, Permission.DEAD_LETTER_DISMISS, execution_id)
        await record(uow, caller, Action.DEAD_LETTER_DISMISSED, subject_of(execution))


async def _taken(
    services: Services, uow: UnitOfWork, caller: Caller, permission: Permission, execution_id: UUID
) -> Execution:
    execution = await allowed(uow, caller, permission, execution_id)
    if not await uow.executions.deal_with(execution_id, caller.principal.user_id, services.clock.now()):
        raise Conflict("This execution is no dead letter, or somebody has dealt with it already.")
    return execution
