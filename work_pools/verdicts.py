"""The verdict on an attempt: a pure function of how it ended."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from platform_api.domain.executions import RETRYABLE, ExecutionStatus
from platform_api.domain.jobs import JobSpec
from platform_api.ports.ends import Verdict
from platform_api.ports.reports import PrefectState
from work_pools import messages
from work_pools.executors.protocol import AttemptEnd, EndCause

#: A request to stop that crosses one of these ends came too late to change it.
_DECIDED = frozenset({ExecutionStatus.SUCCESS, ExecutionStatus.TIMED_OUT})

_PREFECT_STATES = {
    ExecutionStatus.SUCCESS: ("COMPLETED", "Completed"),
    ExecutionStatus.FAILED: ("FAILED", "Failed"),
    ExecutionStatus.TIMED_OUT: ("FAILED", "TimedOut"),
    ExecutionStatus.CRASHED: ("CRASHED", "Crashed"),
    ExecutionStatus.CANCELLED: ("CANCELLED", "Cancelled"),
    ExecutionStatus.SKIPPED: ("CANCELLED", "Skipped"),
}


def judge(
    execution_id: UUID, spec: JobSpec, end: AttemptEnd, *, last_error_line: str | None, cancelled_by: str | None
) -> Verdict:
    """What the attempt's end means for the execution."""
    status, error = _classify(end, spec, last_error_line)
    if cancelled_by and status not in _DECIDED:
        status = ExecutionStatus.CANCELLED
    cancelled = status is ExecutionStatus.CANCELLED
    return Verdict(
        execution_id=execution_id,
        attempt=end.ref.attempt,
        status=status,
        started_at=end.started_at,
        ended_at=end.ended_at,
        exit_code=end.exit_code,
        error_message=None if cancelled else error,
        reason=messages.cancelled_by(cancelled_by) if cancelled else None,
        result=end.result,
        next_attempt_at=_next_attempt(status, spec, end),
    )


def _classify(end: AttemptEnd, spec: JobSpec, last_error_line: str | None) -> tuple[ExecutionStatus, str | None]:
    match end.cause:
        case EndCause.EXITED if end.exit_code == 0:
            return ExecutionStatus.SUCCESS, end.result_error and f"The result was not kept: {end.result_error}"
        case EndCause.EXITED:
            return ExecutionStatus.FAILED, messages.exit_code(end.exit_code or 0, last_error_line)
        case EndCause.SIGNALLED:
            return ExecutionStatus.FAILED, messages.killed_by(end.signal or 0)
        case EndCause.TIMED_OUT:
            return ExecutionStatus.TIMED_OUT, messages.timed_out_after(spec.timeout_seconds)
        case EndCause.CANCELLED:
            return ExecutionStatus.CANCELLED, None
        case EndCause.LIMIT_EXCEEDED:
            return ExecutionStatus.FAILED, end.error
        case EndCause.NOT_STARTED:
            return ExecutionStatus.FAILED, end.error or "The script could not be started"
        case EndCause.LOST:
            return ExecutionStatus.CRASHED, end.error or messages.WATCHER_VANISHED


def _next_attempt(status: ExecutionStatus, spec: JobSpec, end: AttemptEnd) -> datetime | None:
    if status not in RETRYABLE or not spec.retry_policy.has_another(end.ref.attempt):
        return None
    return end.ended_at + spec.retry_policy.delay_after(end.ref.attempt)


def prefect_state(verdict: Verdict) -> PrefectState:
    """The verdict as Prefect names it; Failed comes once, after the last attempt (D4)."""
    message = verdict.error_message or verdict.reason
    if verdict.next_attempt_at:
        return PrefectState("SCHEDULED", "AwaitingRetry", message, verdict.next_attempt_at)
    return PrefectState(*_PREFECT_STATES[verdict.status], message)


def refused_state(status: ExecutionStatus, reason: str) -> PrefectState:
    """A run that never started, as Prefect names it."""
    return PrefectState(*_PREFECT_STATES[status], reason)
