"""The few calls of Prefect's REST API that the reporter needs. Every one that sets a state may be repeated."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from platform_api.ports.reports import PrefectState
from platform_api.settings import Settings

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reception:
    """What Prefect made of a proposed state: ``type`` and ``name`` are those that the run has now."""

    accepted: bool
    type: str | None
    name: str | None


class PrefectApi:
    """Prefect's API, without Prefect."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, settings: Settings) -> PrefectApi:
        """A client with the administrator's password."""
        headers = {}
        if settings.prefect_auth_string:
            secret = base64.b64encode(settings.prefect_auth_string.get_secret_value().encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        return cls(
            httpx.AsyncClient(
                base_url=settings.prefect_api_url.rstrip("/") + "/",
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                limits=httpx.Limits(max_connections=settings.prefect_concurrency),
            )
        )

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def create_flow_run(self, deployment_id: UUID, execution_id: UUID, state: PrefectState) -> UUID | None:
        """The execution's flow run in its first state; None when the deployment is gone."""
        body = {"idempotency_key": str(execution_id), "state": _state(state)}
        response = await self._client.post(f"deployments/{deployment_id}/create_flow_run", json=body)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return UUID(_json(response)["id"])

    async def set_state(
        self, flow_run_ids: Sequence[UUID], state: PrefectState, *, force: bool = False
    ) -> dict[UUID, Reception]:
        """Propose a state for up to 50 flow runs; those that Prefect does not know are missing in the answer."""
        body = {
            "flow_runs": {"id": {"any_": [str(id_) for id_ in flow_run_ids]}},
            "state": _state(state),
            "force": force,
            "limit": len(flow_run_ids),
        }
        results = _json(await self._client.post("flow_runs/bulk_set_state", json=body))["results"]
        return {UUID(result["flow_run_id"]): _reception(result) for result in results}

    async def states(self, flow_run_ids: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
        """Type and name of the present state of each."""
        body = {"flow_runs": {"id": {"any_": [str(id_) for id_ in flow_run_ids]}}, "limit": len(flow_run_ids)}
        runs = _json(await self._client.post("flow_runs/filter", json=body))
        return {UUID(run["id"]): (run["state_type"], run["state_name"]) for run in runs}

    async def delete(self, flow_run_ids: Sequence[UUID]) -> None:
        """Delete flow runs; those that are gone already do not matter."""
        body = {
            "flow_runs": {"id": {"any_": [str(id_) for id_ in flow_run_ids]}},
            "limit": len(flow_run_ids),
        }
        _json(await self._client.post("flow_runs/bulk_delete", json=body))

    async def write_logs(self, documents: Sequence[dict[str, Any]]) -> None:
        """Lines as Prefect's API names their parts; the one call here whose repetition would show."""
        (await self._client.post("logs/", json=list(documents))).raise_for_status()


def _state(state: PrefectState) -> dict[str, Any]:
    details = {"scheduled_time": state.scheduled_time.isoformat()} if state.scheduled_time else {}
    return {"type": state.type, "name": state.name, "message": state.message, "state_details": details}


def _reception(result: dict[str, Any]) -> Reception:
    state = result.get("state") or {}
    return Reception(result["status"] == "ACCEPT", state.get("type"), state.get("name"))


def _json(response: httpx.Response) -> Any:
    response.raise_for_status()
    return response.json()
