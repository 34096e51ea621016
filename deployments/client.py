"""Calls to Prefect's API: few at a time, each with a deadline, failures in the platform's words."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, cast

import httpx
from prefect.client.orchestration import PrefectClient

from platform_api.ports.orchestrator import OrchestratorRefused, OrchestratorUnavailable

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class NotThere(Exception):
    """Prefect has no such object (404)."""


class PrefectApi:
    """One connection pool to Prefect's API, opened at the first call; belongs to one event loop.

    The address and the password are given, never taken from the environment: a script's environment could be ours.
    """

    def __init__(self, api_url: str, auth_string: str | None, *, concurrency: int, deadline_seconds: float) -> None:
        self._api_url = api_url
        self._auth_string = auth_string
        self._deadline_seconds = deadline_seconds
        self._places = asyncio.Semaphore(concurrency)
        self._client: PrefectClient | None = None

    async def call(self, method: Method, path: str, body: Any = None) -> Any:
        """The decoded answer; raises ``NotThere`` for 404 and ``OrchestratorUnavailable`` for every other failure."""
        try:
            async with self._places, asyncio.timeout(self._deadline_seconds):
                client = await self._opened()
                # The list of routes is typed as literals; ours carry their ids already.
                response = await client.request(method, cast(Any, path), json=body)
        except TimeoutError as late:
            raise OrchestratorUnavailable(f"Prefect did not answer within {self._deadline_seconds:g} s.") from late
        except httpx.HTTPStatusError as refused:
            raise _translated(refused) from refused
        except httpx.HTTPError as broken:
            raise OrchestratorUnavailable(
                f"Prefect could not be reached: {broken or type(broken).__name__}"
            ) from broken
        return response.json() if response.content else None

    async def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.__aexit__(None, None, None)

    async def _opened(self) -> PrefectClient:
        if self._client is None:
            timeout = httpx.Timeout(self._deadline_seconds)
            client = PrefectClient(self._api_url, auth_string=self._auth_string, httpx_settings={"timeout": timeout})
            self._client = client
            await client.__aenter__()
        return self._client


def _translated(refused: httpx.HTTPStatusError) -> Exception:
    if refused.response.status_code == httpx.codes.NOT_FOUND:
        return NotThere(str(refused.request.url.path))
    message = f"Prefect answered {refused.response.status_code}: {refused.response.text[:500]}"
    return OrchestratorRefused(message) if refused.response.is_client_error else OrchestratorUnavailable(message)
