"""Shows Prefect's UI the beginning and the end of each log; the platform's own pages have all of it (D6).

Prefect's server needs about 1 ms for a line, so it gets few, behind everything else that it is to be told, and after
a burst only the latest runs' ones. It is a courtesy: what is lost with a worker or a Prefect that is away stays lost.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any
from uuid import UUID

import httpx

from platform_api.ports.logs import LogLine, LogQuery
from work_pools.equipment import Equipment
from work_pools.prefect_api import PrefectApi

logger = logging.getLogger(__name__)

FIRST_LINES, LAST_LINES = 20, 50
LONGEST_LINE = 1000

#: Logs in one call, and logs that may wait.
CALL = 5
MOST_WAITING = 100

_LEVELS = {"stderr": logging.WARNING}


class Excerpts:
    """What waits to be shown."""

    def __init__(self, equipment: Equipment, prefect: PrefectApi) -> None:
        self._equipment = equipment
        self._prefect = prefect
        self._waiting: deque[tuple[UUID, UUID]] = deque(maxlen=MOST_WAITING)

    def expect(self, execution_id: UUID, flow_run_id: UUID) -> None:
        """The execution is over and its flow run knows; the oldest one that waits gives way."""
        self._waiting.append((execution_id, flow_run_id))

    async def send(self) -> bool:
        """Show some of them in one call; False when none waited."""
        chosen = [self._waiting.popleft() for _ in range(min(CALL, len(self._waiting)))]
        documents = [document for ids in chosen for document in await self._documents(*ids)]
        if documents:
            try:
                await self._prefect.write_logs(documents)
            except httpx.HTTPError as error:
                logger.info("Prefect did not take the logs of %d runs: %r", len(chosen), error)
        return bool(chosen)

    async def _documents(self, execution_id: UUID, flow_run_id: UUID) -> list[dict[str, Any]]:
        logs = self._equipment.logs
        page = await logs.page(execution_id, LogQuery(limit=FIRST_LINES))
        documents = [_document(line, flow_run_id) for line in page.lines]
        if page.next_start is None:
            return documents
        behind = [line for line in await logs.tail(execution_id, LAST_LINES) if line.number >= page.next_start]
        if behind and (between := behind[0].number - page.next_start):
            address = f"{self._equipment.settings.base_url.rstrip('/')}/executions/{execution_id}"
            text = f"[... {between:,} lines in between are at {address} ...]"
            documents.append(documents[-1] | {"message": text, "level": logging.INFO})
        return documents + [_document(line, flow_run_id) for line in behind]


def _document(line: LogLine, flow_run_id: UUID) -> dict[str, Any]:
    """PostgreSQL's text knows no NUL."""
    return {
        "name": f"script.{line.stream}",
        "level": _LEVELS.get(line.stream, logging.INFO),
        "message": line.text[:LONGEST_LINE].replace("\0", "\N{REPLACEMENT CHARACTER}"),
        "timestamp": line.timestamp.isoformat(),
        "flow_run_id": str(flow_run_id),
    }
