"""One execution: how it stands, its attempts, its log, and what can be done about it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from platform_api.audit.actions import Action
from platform_api.domain.errors import Conflict
from platform_api.domain.executions import UNSUCCESSFUL
from platform_api.ports.executions import Execution
from platform_api.use_cases import executions, jobs, logs, runs
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.executions import Shown
from platform_api.web.answers import go
from platform_api.web.execution_log import span_of
from platform_api.web.navigation import has_page
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission
from rbac.policy import Resource, decide

router = pages()


@router.get("/executions/{execution_id}", **page(Permission.EXECUTION_VIEW))
async def show(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    execution_id: UUID,
    attempt: int | None = None,
) -> Response:
    """The execution with its log."""
    shown = await executions.show(services, caller, execution_id)
    context = _context(caller, shown)
    context |= {
        "attempt": attempt,
        "span": await span_of(services, caller, execution_id, attempt),
        "job": (await jobs.get_with_deleted(services, caller, shown.execution.job_id)).job,
    }
    return render(request, "executions/execution.html", **context)


@router.get("/executions/{execution_id}/summary", **page(Permission.EXECUTION_VIEW))
async def summary(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    execution_id: UUID,
    attempt: int | None = None,
) -> Response:
    """What changes while it runs; the page asks for it again and again until it is over."""
    shown = await executions.show(services, caller, execution_id)
    return render(request, "executions/summary.html", **_context(caller, shown), attempt=attempt)


def _context(caller: Caller, shown: Shown) -> dict[str, Any]:
    execution = shown.execution
    return {
        "execution": execution,
        "attempts": shown.attempts,
        "is_bad": execution.status in UNSUCCESSFUL,
        "may_cancel": not execution.status.is_terminal and _may(caller, execution, Permission.EXECUTION_CANCEL),
        "may_retry": execution.status.is_terminal
        and not execution.job_is_deleted
        and _may(caller, execution, Permission.EXECUTION_RETRY),
        "prefect": f"/prefect/runs/flow-run/{execution.prefect_flow_run_id}"
        if execution.prefect_flow_run_id
        and has_page("/prefect")
        and decide(caller.principal, Permission.PREFECT_USE).allowed
        else None,
    }


def _may(caller: Caller, execution: Execution, permission: Permission) -> bool:
    return decide(caller.principal, permission, Resource(execution.owner_id, execution.team_id)).allowed


@router.post("/executions/{execution_id}/cancel", **page(Permission.EXECUTION_CANCEL, Action.EXECUTION_CANCELLED))
async def cancel(services: ServicesDependency, caller: CallerDependency, execution_id: UUID) -> Response:
    """Stop it."""
    address = f"/executions/{execution_id}"
    try:
        after = await executions.cancel(services, caller, execution_id)
    except Conflict as error:
        return go(address, str(error), "info")
    told = "It is cancelled." if after.status.is_terminal else "It is asked to stop; the log shows when it has."
    return go(address, told)


@router.post("/executions/{execution_id}/retry", **page(Permission.EXECUTION_RETRY, Action.EXECUTION_RETRIED))
async def retry(services: ServicesDependency, caller: CallerDependency, execution_id: UUID) -> Response:
    """Run it again, as the job is now."""
    try:
        new = await runs.retry(services, caller, execution_id)
    except Conflict as error:
        return go(f"/executions/{execution_id}", str(error), "bad")
    return go(f"/executions/{new.id}", "This is the new run.")


@router.get("/executions/{execution_id}/log/download", **page(Permission.LOG_VIEW))
async def download(
    services: ServicesDependency, caller: CallerDependency, execution_id: UUID, attempt: int | None = None
) -> Response:
    """The whole log as the script wrote it."""
    pieces = await logs.raw(services, caller, execution_id, attempt)
    disposition = f'attachment; filename="execution-{execution_id}.log"'
    return StreamingResponse(
        pieces, media_type="text/plain; charset=utf-8", headers={"Content-Disposition": disposition}
    )
