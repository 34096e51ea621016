"""Every use case starts here: one transaction, the policy's word, and a refusal that leaves a trace.

async with guarded(services, caller) as uow:
    job = await uow.jobs.get(job_id)
    require(caller, Permission.JOB_EDIT, Subject("job", str(job.id), job.name), Resource(job.owner_id, job.team_id))
    ...change, record, remember...
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import Subject
from platform_api.domain.errors import NotAllowed, NotFound, PlatformError
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission
from rbac.policy import Decision, Resource, decide


class AccessDenied(Exception):
    """The policy said no; ``guarded`` records it and tells the caller no more than they may know."""

    def __init__(self, permission: Permission, subject: Subject, decision: Decision) -> None:
        self.permission = permission
        self.subject = subject
        self.decision = decision
        super().__init__(decision.reason)

    def for_the_caller(self) -> PlatformError:
        """The error that the caller sees."""
        if self.decision.may_know:
            return NotAllowed(f"{self.decision.reason}.")
        return not_found(self.subject)


def not_found(subject: Subject) -> NotFound:
    """The same words whether a thing does not exist or is none of the caller's business."""
    return NotFound(f"There is no {subject.type.replace('_', ' ')} {subject.id}, or you may not see it.")


def require(caller: Caller, permission: Permission, subject: Subject, resource: Resource | None = None) -> None:
    """Go on only if the policy allows it; to be called inside ``guarded``."""
    decision = decide(caller.principal, permission, resource)
    if not decision.allowed:
        raise AccessDenied(permission, subject, decision)


@asynccontextmanager
async def guarded(services: Services, caller: Caller) -> AsyncIterator[UnitOfWork]:
    """One transaction of the caller's. A repeat of an earlier request ends here with that request's answer.

    A denial is written after the transaction has been rolled back, in one of its own: it stands whatever the
    request had begun, and no request ever holds two connections.
    """
    try:
        async with services.uow() as uow:
            if caller.once is not None:
                await caller.once.claim(uow, caller.principal)
            yield uow
    except AccessDenied as denial:
        await record_denial(services, caller, denial)
        raise denial.for_the_caller() from denial


async def record_denial(services: Services, caller: Caller, denial: AccessDenied) -> None:
    """Say in a transaction of its own who was refused what, and why."""
    async with services.uow() as uow:
        await record(
            uow,
            caller,
            Action.ACCESS_DENIED,
            denial.subject,
            new={"permission": denial.permission.value},
            outcome=Outcome.DENIED,
            reason=denial.decision.reason,
        )


async def remember(uow: UnitOfWork, caller: Caller, result: Any) -> None:
    """Keep the answer that ``result`` becomes, in the transaction that made it, for a repeat of the request."""
    if caller.once is not None:
        await caller.once.keep(uow, caller.principal, result)


async def admit(services: Services, caller: Caller, permission: Permission) -> None:
    """Refuse early what the caller's role or key never allows, before anything else is read."""
    try:
        require(caller, permission, Subject(permission.kind))
    except AccessDenied as denial:
        await record_denial(services, caller, denial)
        raise denial.for_the_caller() from denial
