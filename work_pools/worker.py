"""``ScriptWorker``: how Prefect sees the engine. It polls and shows itself; the engine does the rest (D1)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import anyio.abc
import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_WORKER_QUERY_SECONDS,
    temporary_settings,
)
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from platform_api.ports.claims import Proposal
from work_pools.engine import Engine
from work_pools.equipment import Equipment
from work_pools.outages import outages

logger = logging.getLogger(__name__)

_STEP = "Asking Prefect for runs"

#: The type of work pool that this worker serves.
WORKER_TYPE = "local-script"


class ScriptWorkerResult(BaseWorkerResult):
    """Never used: the engine reports ends itself."""


class ScriptWorker(BaseWorker[BaseJobConfiguration, BaseVariables, ScriptWorkerResult]):
    """Hands what Prefect's schedule proposes to the engine."""

    type = WORKER_TYPE
    _description = "Runs jobs of the job platform: scripts as processes of their own, started on time."

    def __init__(self, engine: Engine, *, work_pool_name: str, name: str, prefetch_seconds: float) -> None:
        super().__init__(work_pool_name=work_pool_name, name=name, prefetch_seconds=prefetch_seconds)
        self._engine = engine

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll once. Nothing is submitted here: the engine claims in our database and starts on time."""
        if self._has_successfully_synced:
            try:
                responses = await self._get_scheduled_flow_runs()
            # Prefect's own loop would print the traceback. While it is away, runs come from our own calendar.
            except httpx.HTTPError as error:
                outages.failed(_STEP, error, "it is asked again")
                return []
            outages.succeeded(_STEP)
            proposals = [proposal for response in responses if (proposal := proposal_of(response))]
            if proposals:
                await self._engine.propose(proposals)
        self._last_polled_time = datetime.now(UTC)
        return []

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ScriptWorkerResult:
        """Refuse what only Prefect's own submission calls."""
        raise NotImplementedError("Flow runs of this pool are started by the platform's engine")

    async def _cancel_run(self, flow_run_id: UUID) -> None:
        """Somebody cancelled in Prefect's UI."""
        await self._engine.cancel_flow_run(flow_run_id)


async def serve_prefect(engine: Engine, equipment: Equipment) -> None:
    """Poll Prefect until its API has been away for so long that Prefect's own loop gives up; a step of a loop."""
    settings = equipment.settings
    updates: dict[Any, Any] = {
        PREFECT_API_URL: settings.prefect_api_url,
        PREFECT_WORKER_QUERY_SECONDS: settings.poll_seconds,
    }
    if settings.prefect_auth_string:
        updates[PREFECT_API_AUTH_STRING] = settings.prefect_auth_string
    with temporary_settings(updates):
        worker = ScriptWorker(
            engine,
            work_pool_name=equipment.pool,
            name=equipment.worker.name,
            prefetch_seconds=settings.prefetch_seconds,
        )
        await worker.start(printer=logger.info)


def proposal_of(response: WorkerFlowRunResponse) -> Proposal | None:
    """What Prefect wants, in our words; flow runs of deployments that are not ours are left alone."""
    run = response.flow_run
    moment = run.next_scheduled_start_time or run.expected_start_time
    job_id = _job_id(run.parameters)
    if moment is None or job_id is None:
        return None
    return Proposal(run.id, job_id, _plain(moment), by_hand=not run.auto_scheduled)


def _plain(moment: datetime) -> datetime:
    """Prefect's moments are of a subclass of ``datetime`` whose differences are not divided like others."""
    return datetime.fromtimestamp(moment.timestamp(), UTC)


def _job_id(parameters: dict[str, Any]) -> UUID | None:
    try:
        return UUID(str(parameters["job_id"]))
    except (KeyError, ValueError):
        return None
