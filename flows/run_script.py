"""``run-script``: one scheduled run of a job as an ordinary Prefect flow run.

Every job is a deployment of this flow. Normally nothing calls it: the platform's worker executes its flow runs
without starting a Python for each (D1). A stock Prefect worker on a pool of its own type can run a deployment too; then
this flow claims the run and executes it with the same engine, so that the rules are the same: one run per tick, no
overlap, time limit, retries, exact times, logs and history in the platform.

What differs under a stock worker: it starts no earlier than its worker starts the flow (seconds after the tick), and
the pause between two attempts is spent inside the flow's process. The process needs the platform's settings
(``JOB_PLATFORM_DATABASE_URL``, ``JOB_PLATFORM_HOME``), which a job's own environment never holds.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed, Failed

from platform_api.domain.executions import ExecutionStatus
from platform_api.ports.claims import Proposal
from platform_api.ports.executions import Execution
from platform_api.ports.leases import WorkerCard
from platform_api.ports.signals import Channel
from platform_api.settings import Settings
from work_pools.engine import Engine
from work_pools.equipment import Equipment
from work_pools.wiring import equipped

#: Ends are announced; the database is asked at least this often all the same.
LOOK_SECONDS = 2.0


@flow(name="run-script", persist_result=False)
async def run_script(job_id: str) -> State[None]:
    """Run the job once, for the tick of this flow run, and end as its execution ends."""
    proposal = _proposal(UUID(job_id))
    get_run_logger().info("Log and history of this run are at %s", _page(proposal.flow_run_id))
    execution = await execute(Settings(), proposal)
    return _state(execution)


async def execute(settings: Settings, proposal: Proposal) -> Execution | None:
    """Propose one run to an engine of its own and wait for its end; None when the platform wants no such run."""
    # A pool that is nobody else's: this engine is to take up nothing but its own run.
    pool = f"flow-run-{proposal.flow_run_id}"
    async with equipped(settings, pool, f"flow run on {socket.gethostname()}") as (equipment, _):
        engine = Engine(equipment, _card(equipment))
        await engine.start()
        try:
            await engine.propose([proposal])
            return await _end_of(equipment, proposal.flow_run_id)
        finally:
            await engine.stop()


async def _end_of(equipment: Equipment, execution_id: UUID) -> Execution | None:
    async with equipment.signals.subscribe(Channel.EXECUTION, str(execution_id)) as changes:
        while True:
            async with equipment.uow() as uow:
                execution = await uow.executions.get(execution_id)
            if execution is None or ExecutionStatus(execution.status).is_terminal:
                return execution
            await changes.wait(LOOK_SECONDS)


def _proposal(job_id: UUID) -> Proposal:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("run-script runs as a Prefect flow only")
    run = context.flow_run
    moment = run.expected_start_time or datetime.now(UTC)
    return Proposal(run.id, job_id, moment.astimezone(UTC), by_hand=not run.auto_scheduled)


def _state(execution: Execution | None) -> State[None]:
    """The execution's end in Prefect's words."""
    if execution is None:
        return Cancelled(message="The job has no run at this time, or another flow run has it.")
    match ExecutionStatus(execution.status):
        case ExecutionStatus.SUCCESS:
            return Completed()
        case ExecutionStatus.SKIPPED | ExecutionStatus.CANCELLED:
            return Cancelled(message=execution.reason)
        case _:
            return Failed(message=execution.error_message)


def _page(execution_id: UUID) -> str:
    return f"{Settings().base_url.rstrip('/')}/executions/{execution_id}"


def _card(equipment: Equipment) -> WorkerCard:
    worker = equipment.worker
    return WorkerCard(worker.id, worker.name, equipment.pool, socket.gethostname(), os.getpid(), "run-script")
