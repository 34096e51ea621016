"""The verdict on an attempt, as a truth table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from platform_api.domain.executions import ExecutionStatus
from platform_api.domain.jobs import JobSpec, JobType
from platform_api.domain.retries import RetryPolicy
from work_pools import messages
from work_pools.executors.protocol import AttemptEnd, AttemptRef, EndCause
from work_pools.verdicts import judge, prefect_state

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EXECUTION = uuid4()


def end(cause: EndCause, attempt: int = 1, **how: Any) -> AttemptEnd:
    return AttemptEnd(AttemptRef(EXECUTION, attempt), cause, NOW, NOW, **how)


def spec(**fields: Any) -> JobSpec:
    return JobSpec(name="job", type=JobType.SHELL, script="exit 0", **fields)


@pytest.mark.parametrize(
    ("cause", "how", "status", "message", "prefect"),
    [
        (EndCause.EXITED, {"exit_code": 0}, "success", None, "Completed"),
        (EndCause.EXITED, {"exit_code": 3}, "failed", "Exit code 3: no space", "Failed"),
        (EndCause.SIGNALLED, {"signal": 9}, "failed", "Killed by SIGKILL", "Failed"),
        (EndCause.SIGNALLED, {"signal": 200}, "failed", "Killed by signal 200", "Failed"),
        (EndCause.TIMED_OUT, {"signal": 15}, "timed_out", "Timed out after 60 minutes", "TimedOut"),
        (EndCause.CANCELLED, {"signal": 15}, "cancelled", None, "Cancelled"),
        (EndCause.NOT_STARTED, {"error": "no such interpreter"}, "failed", "no such interpreter", "Failed"),
        (EndCause.LOST, {}, "crashed", "The process that watched the script vanished", "Crashed"),
    ],
)
def test_each_cause_has_its_verdict(
    cause: EndCause, how: dict[str, Any], status: str, message: str | None, prefect: str
) -> None:
    verdict = judge(EXECUTION, spec(), end(cause, **how), last_error_line=" no space \n", cancelled_by=None)
    assert (verdict.status, verdict.error_message) == (status, message)
    assert (prefect_state(verdict).name, verdict.next_attempt_at) == (prefect, None)


@pytest.mark.parametrize(
    ("cause", "how", "another"),
    [
        (EndCause.EXITED, {"exit_code": 0}, False),
        (EndCause.EXITED, {"exit_code": 1}, True),
        (EndCause.SIGNALLED, {"signal": 9}, True),
        (EndCause.TIMED_OUT, {}, True),
        (EndCause.NOT_STARTED, {}, True),
        (EndCause.LOST, {}, True),
        (EndCause.CANCELLED, {}, False),
    ],
)
def test_what_is_followed_by_another_attempt(cause: EndCause, how: dict[str, Any], another: bool) -> None:
    policy = RetryPolicy(max_retries=2, retry_delay_seconds=60, exponential_backoff=True)
    job = spec(retry_policy=policy)
    first = judge(EXECUTION, job, end(cause, **how), last_error_line=None, cancelled_by=None)
    second = judge(EXECUTION, job, end(cause, 2, **how), last_error_line=None, cancelled_by=None)
    last = judge(EXECUTION, job, end(cause, 3, **how), last_error_line=None, cancelled_by=None)
    expected = [NOW + timedelta(seconds=60), NOW + timedelta(seconds=120)] if another else [None, None]
    assert [first.next_attempt_at, second.next_attempt_at, last.next_attempt_at] == [*expected, None]
    assert (prefect_state(first).name == "AwaitingRetry") is another


@pytest.mark.parametrize(
    ("cause", "how", "status"),
    [
        (EndCause.EXITED, {"exit_code": 0}, ExecutionStatus.SUCCESS),
        (EndCause.TIMED_OUT, {}, ExecutionStatus.TIMED_OUT),
        (EndCause.EXITED, {"exit_code": 1}, ExecutionStatus.CANCELLED),
        (EndCause.SIGNALLED, {"signal": 15}, ExecutionStatus.CANCELLED),
        (EndCause.CANCELLED, {}, ExecutionStatus.CANCELLED),
        (EndCause.LOST, {}, ExecutionStatus.CANCELLED),
    ],
)
def test_what_a_request_to_stop_makes_of_an_end(cause: EndCause, how: dict[str, Any], status: ExecutionStatus) -> None:
    verdict = judge(EXECUTION, spec(), end(cause, **how), last_error_line=None, cancelled_by="maya@example.com")
    assert verdict.status is status
    if status is ExecutionStatus.CANCELLED:
        assert (verdict.reason, verdict.error_message) == ("Cancelled by maya@example.com", None)
        assert verdict.next_attempt_at is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "1 minute"), (900, "15 minutes"), (90, "90 seconds"), (1, "1 second"), (3600, "60 minutes")],
)
def test_a_time_limit_is_told_in_whole_minutes_or_in_seconds(seconds: int, text: str) -> None:
    assert messages.timed_out_after(seconds) == f"Timed out after {text}"


def test_a_result_that_was_not_kept_is_said() -> None:
    verdict = judge(
        EXECUTION,
        spec(),
        end(EndCause.EXITED, exit_code=0, result_error="no JSON"),
        last_error_line=None,
        cancelled_by=None,
    )
    assert (verdict.status, verdict.error_message) == ("success", "The result was not kept: no JSON")
