"""Ends in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.ports.ends import Verdict

_LOCK = text("""
    SELECT e.id, e.cancel_requested_by
    FROM executions e
    JOIN unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[])) AS w(id, attempt)
      ON e.id = w.id AND e.attempt = w.attempt
    WHERE e.worker_id = :worker_id AND e.status = 'running'
    ORDER BY e.id
    FOR UPDATE OF e
""")

_FINISH = text("""
    WITH w AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:statuses AS text[]), CAST(:ends AS timestamptz[]),
            CAST(:starts AS timestamptz[]), CAST(:codes AS int[]), CAST(:errors AS text[]), CAST(:reasons AS text[]),
            CAST(:results AS text[]), CAST(:nexts AS timestamptz[]))
        AS w(id, attempt, status, ended_at, started_at, exit_code, error, reason, result, next_at)),
    ended AS (
        UPDATE attempts a
        SET status = w.status, ended_at = w.ended_at, started_at = coalesce(w.started_at, a.started_at),
            exit_code = w.exit_code, error_message = w.error, next_attempt_at = w.next_at
        FROM w WHERE a.execution_id = w.id AND a.attempt = w.attempt)
    UPDATE executions e
    SET status = CASE WHEN w.next_at IS NULL THEN w.status ELSE 'retrying' END,
        ended_at = CASE WHEN w.next_at IS NULL THEN w.ended_at END,
        started_at = CASE WHEN w.attempt = 1 THEN coalesce(w.started_at, e.started_at) ELSE e.started_at END,
        attempt = CASE WHEN w.next_at IS NULL THEN e.attempt ELSE e.attempt + 1 END,
        due_at = coalesce(w.next_at, e.due_at),
        exit_code = w.exit_code, error_message = w.error, reason = w.reason, result = CAST(w.result AS jsonb)
    FROM w WHERE e.id = w.id AND e.attempt = w.attempt AND e.status = 'running'
""")

_CANCEL_WAITING = text("""
    UPDATE executions SET status = 'cancelled', reason = :reason, ended_at = :now, cancel_requested_at = :now,
                          cancel_requested_by = :by
    WHERE prefect_flow_run_id = :flow_run_id AND status IN ('queued', 'retrying')
    RETURNING id
""")

_CANCEL_RUNNING = text("""
    UPDATE executions SET cancel_requested_at = :now, cancel_requested_by = :by
    WHERE prefect_flow_run_id = :flow_run_id AND status = 'running' AND cancel_requested_at IS NULL
""")

# Chunks are gone once a log is archived. A run without output leaves none, hence the look at its worker's last hour.
_UNTIDIED = text("""
    SELECT e.id, e.attempt FROM executions e JOIN workers w ON w.id = e.worker_id
    WHERE w.id = ANY(CAST(:workers AS uuid[])) AND e.ended_at IS NOT NULL AND e.started_at IS NOT NULL
      AND (e.ended_at > w.heartbeat_at - interval '1 hour'
           OR EXISTS (SELECT 1 FROM log_chunks c WHERE c.execution_id = e.id))
""")


class SqlEnds:
    """See ``ports.ends.Ends``."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, worker_id: UUID, attempts: Sequence[tuple[UUID, int]]) -> dict[UUID, str | None]:
        """Lock what the worker still runs."""
        parameters = {
            "worker_id": worker_id,
            "ids": [id_ for id_, _ in attempts],
            "attempts": [attempt for _, attempt in attempts],
        }
        rows = await self._connection.execute(_LOCK, parameters)
        return {row.id: row.cancel_requested_by for row in rows}

    async def finish(self, verdicts: Sequence[Verdict]) -> None:
        """Write attempts and executions in one statement."""
        await self._connection.execute(
            _FINISH,
            {
                "ids": [v.execution_id for v in verdicts],
                "attempts": [v.attempt for v in verdicts],
                "statuses": [v.status.value for v in verdicts],
                "ends": [v.ended_at for v in verdicts],
                "starts": [v.started_at for v in verdicts],
                "codes": [v.exit_code for v in verdicts],
                "errors": [v.error_message for v in verdicts],
                "reasons": [v.reason for v in verdicts],
                "results": [None if v.result is None else json.dumps(v.result) for v in verdicts],
                "nexts": [v.next_attempt_at for v in verdicts],
            },
        )

    async def running(self, worker_id: UUID) -> dict[UUID, str | None]:
        """Read what the worker runs."""
        query = text("""
            SELECT id, CASE WHEN cancel_requested_at IS NOT NULL THEN coalesce(cancel_requested_by, 'somebody') END
            FROM executions WHERE worker_id = :worker_id AND status = 'running'
        """)
        rows = await self._connection.execute(query, {"worker_id": worker_id})
        return {row[0]: row[1] for row in rows}

    async def request_cancel(self, flow_run_id: UUID, requested_by: str, now: datetime) -> UUID | None:
        """End a waiting execution, or ask for the end of a running one."""
        parameters = {
            "flow_run_id": flow_run_id,
            "by": requested_by,
            "reason": f"Cancelled by {requested_by}",
            "now": now,
        }
        cancelled: UUID | None = await self._connection.scalar(_CANCEL_WAITING, parameters)
        if cancelled is None:
            await self._connection.execute(
                _CANCEL_RUNNING, {"flow_run_id": flow_run_id, "by": requested_by, "now": now}
            )
        return cancelled

    async def untidied(self, workers: Sequence[UUID]) -> list[tuple[UUID, int]]:
        """Find what a crash kept from being archived."""
        rows = await self._connection.execute(_UNTIDIED, {"workers": list(workers)})
        return [(row.id, row.attempt) for row in rows]
