"""Keeps Prefect's deployments as our jobs are.

``apply``, step by step; each step may be repeated after a crash at any point:

1. find the deployment: by the id we noted, else by its name's ending and the job's id in its parameters;
2. create it without schedules where there is none;
3. make its schedules those of the job, by slug, so that an unchanged schedule keeps its id: Prefect's key against
   double runs is made of it; then change the fields that differ;
4. have Prefect create the runs of the next two minutes, counted from before the first step: a change of a deployment
   deletes its future runs, and a tick that passes meanwhile must come back.

Prefect keeps runs that are Pending, running or late through all of this; the worker decides what becomes of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from deployments.client import NotThere, PrefectApi
from deployments.documents import FLOW_NAME, PLATFORM_TAG, changeable_fields, name_ending, new_deployment
from deployments.schedules import PrefectSchedule, schedules_of
from deployments.work_pool import base_job_template
from platform_api.domain.jobs import JobStatus
from platform_api.ports.clock import Clock, SystemClock
from platform_api.ports.orchestrator import DeploymentIntent, OrchestratorUnavailable
from platform_api.settings import Settings

#: How far ahead runs are created at once; Prefect's scheduler goes on from there.
AHEAD = timedelta(minutes=2)
#: Ticks this long ago are created again when an edit may have deleted them; those that ran are known to Prefect.
OVERLAP = timedelta(seconds=5)
DEADLINE_SECONDS = 15.0
HEALTH_SECONDS = 3.0
PAGE = 200

WORK_POOL_TYPE = "local-script"


class PrefectOrchestrator:
    """The ``Orchestrator`` port on a Prefect server."""

    def __init__(
        self,
        api_url: str,
        auth_string: str | None,
        *,
        work_pool: str,
        concurrency: int = 4,
        deadline_seconds: float = DEADLINE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._api = PrefectApi(api_url, auth_string, concurrency=concurrency, deadline_seconds=deadline_seconds)
        self._work_pool = work_pool
        self._clock = clock or SystemClock()
        #: The flow's id, once flow and work pool were seen to exist.
        self._flow_id: str | None = None

    async def apply(self, intent: DeploymentIntent) -> UUID:
        """See ``ports.orchestrator.Orchestrator``."""
        before = self._clock.now()
        known = await self._found(intent)
        deployment = known or await self._create(intent)
        changed = await self._set_schedules(deployment, schedules_of(intent.spec, before))
        if known is not None:
            changed |= await self._update(known, intent)
        if intent.status is JobStatus.ACTIVE and intent.spec.has_schedule:
            # A schedule that is new has no ticks before now.
            await self._create_next_runs(deployment["id"], before if changed or not known else before - OVERLAP)
        return UUID(deployment["id"])

    async def remove(self, intent: DeploymentIntent) -> None:
        """See ``ports.orchestrator.Orchestrator``."""
        deployment = await self._found(intent)
        if deployment is not None:
            await self._delete(f"/deployments/{deployment['id']}")

    async def deployments(self) -> dict[UUID, UUID]:
        """See ``ports.orchestrator.Orchestrator``."""
        # This is the first call of a process: with flow and pool in place the first job is shown as fast as any.
        await self._ensure_flow_and_pool()
        found: dict[UUID, UUID] = {}
        offset = 0
        while True:
            page = await self._filter({"tags": {"all_": [PLATFORM_TAG]}}, offset)
            found |= {UUID(row["id"]): job_id for row in page if (job_id := _job_of(row))}
            offset += PAGE
            if len(page) < PAGE:
                return found

    async def is_healthy(self) -> bool:
        """See ``ports.orchestrator.Orchestrator``."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await self._call("GET", "/health")
        except (OrchestratorUnavailable, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Give the connections back."""
        await self._api.close()

    async def _call(self, method: Any, path: str, body: Any = None) -> Any:
        """A call whose object has to be there."""
        try:
            return await self._api.call(method, path, body)
        except NotThere as gone:
            # What was found a moment ago is gone, or Prefect's database was replaced: look at everything again.
            self._flow_id = None
            raise OrchestratorUnavailable(f"Prefect does not know {gone} any more.") from gone

    async def _filter(self, deployments: dict[str, Any], offset: int = 0) -> list[dict[str, Any]]:
        body = {"deployments": deployments, "limit": PAGE, "offset": offset, "sort": "NAME_ASC"}
        page: list[dict[str, Any]] = await self._call("POST", "/deployments/filter", body)
        return page

    async def _found(self, intent: DeploymentIntent) -> dict[str, Any] | None:
        if intent.deployment_id is not None:
            try:
                known: dict[str, Any] = await self._api.call("GET", f"/deployments/{intent.deployment_id}")
            except NotThere:
                # Deleted by hand, or Prefect's database was replaced.
                self._flow_id = None
            else:
                return known
        named = await self._filter({"name": {"like_": name_ending(intent)}, "tags": {"all_": [PLATFORM_TAG]}})
        ours = [row for row in named if _job_of(row) == intent.job_id]
        return ours[0] if ours else None

    async def _create(self, intent: DeploymentIntent) -> dict[str, Any]:
        flow_id = await self._ensure_flow_and_pool()
        body = new_deployment(intent, flow_id, self._work_pool)
        try:
            created: dict[str, Any] = await self._call("POST", "/deployments/", body)
        except OrchestratorUnavailable:
            # Perhaps Prefect's database was replaced and knows neither flow nor pool; the next try looks.
            self._flow_id = None
            raise
        return created

    async def _ensure_flow_and_pool(self) -> str:
        if self._flow_id is None:
            flow = await self._call("POST", "/flows/", {"name": FLOW_NAME, "tags": [PLATFORM_TAG]})
            await self._ensure_pool()
            self._flow_id = flow["id"]
        return self._flow_id

    async def _ensure_pool(self) -> None:
        """Make the work pool where there is none; one that is there may have been edited by an operator."""
        try:
            await self._api.call("GET", f"/work_pools/{self._work_pool}")
        except NotThere:
            pool = {"name": self._work_pool, "type": WORK_POOL_TYPE, "base_job_template": base_job_template()}
            await self._call("POST", "/work_pools/", pool)

    async def _update(self, deployment: dict[str, Any], intent: DeploymentIntent) -> bool:
        """Change what differs; whether the job was paused or woken by that."""
        wanted = changeable_fields(intent)
        changed = {field: value for field, value in wanted.items() if deployment.get(field) != value}
        if changed:
            await self._call("PATCH", f"/deployments/{deployment['id']}", changed)
        return "paused" in changed

    async def _set_schedules(self, deployment: dict[str, Any], wanted: Mapping[str, PrefectSchedule]) -> bool:
        """Make the deployment's schedules these; whether that changed any."""
        path = f"/deployments/{deployment['id']}/schedules"
        documents = {slug: schedule.model_dump(mode="json") for slug, schedule in wanted.items()}
        rows = deployment.get("schedules") or []
        surplus = [row for row in rows if row["slug"] not in documents]
        present = {row["slug"]: row for row in rows if row["slug"] in documents}
        changed = [slug for slug, row in present.items() if not _same(row, documents[slug])]
        new = [slug for slug in documents if slug not in present]
        for row in surplus:
            await self._delete(f"{path}/{row['id']}")
        # One by one and in their order: Prefect lists them by the time of their last change.
        for slug, document in documents.items():
            body = {"slug": slug, "schedule": document, "active": True}
            if slug in new:
                await self._call("POST", path, [body])
            elif slug in changed:
                await self._call("PATCH", f"{path}/{present[slug]['id']}", body)
        return bool(changed or new or surplus)

    async def _delete(self, path: str) -> None:
        try:
            await self._api.call("DELETE", path)
        except NotThere:
            # Somebody was faster; it is gone, as it should be.
            return

    async def _create_next_runs(self, deployment_id: str, start: datetime) -> None:
        span = {
            "start_time": start.isoformat(),
            "min_time": (AHEAD + OVERLAP).total_seconds(),
            "min_runs": 1,
        }
        await self._call("POST", f"/deployments/{deployment_id}/schedule", span)


@asynccontextmanager
async def open_registrar(settings: Settings) -> AsyncIterator[PrefectOrchestrator]:
    """The orchestrator on the Prefect server that the settings name; its connections close at the end."""
    password = settings.prefect_auth_string
    registrar = PrefectOrchestrator(
        settings.prefect_api_url,
        password.get_secret_value() if password else None,
        work_pool=settings.work_pool,
        concurrency=settings.prefect_concurrency,
    )
    try:
        yield registrar
    finally:
        await registrar.close()


def _job_of(deployment: dict[str, Any]) -> UUID | None:
    """The job that a deployment with our tag says it is of; people may put that tag on others."""
    try:
        return UUID(str(deployment["parameters"]["job_id"]))
    except (KeyError, ValueError):
        return None


def _same(row: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether Prefect's stored schedule says what ours says; moments are compared as moments."""
    return bool(row["active"]) and _canonical(row["schedule"]) == _canonical(document)


def _canonical(schedule: dict[str, Any]) -> str:
    known = {name: value for name, value in schedule.items() if value is not None}
    if "anchor_date" in known:
        known["anchor_date"] = datetime.fromisoformat(known["anchor_date"]).astimezone(UTC).isoformat()
    return json.dumps(known, sort_keys=True)
