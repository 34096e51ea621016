"""The states of an execution and of its attempts, and which may follow which.

Drawn in ``docs/explanation/states.md``; the tables here are the truth that the drawing is tested against.
"""

from __future__ import annotations

from enum import StrEnum


class ExecutionStatus(StrEnum):
    """Where an execution stands. The names are the contract's."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCESS = "success"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    CRASHED = "crashed"

    @property
    def is_terminal(self) -> bool:
        """Nothing follows."""
        return self in TERMINAL


class TriggeredBy(StrEnum):
    """What asked for an execution."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    API = "api"
    RETRY = "retry"
    CATCH_UP = "catch_up"
    DEPENDENCY = "dependency"


TERMINAL = frozenset(
    {
        ExecutionStatus.SUCCESS,
        ExecutionStatus.FAILED,
        ExecutionStatus.TIMED_OUT,
        ExecutionStatus.CANCELLED,
        ExecutionStatus.SKIPPED,
        ExecutionStatus.CRASHED,
    }
)

#: Statuses that hold the job's only place when its ``concurrency`` forbids overlap (D3).
OCCUPYING = frozenset({ExecutionStatus.RUNNING, ExecutionStatus.RETRYING})

#: Final verdicts that a person has to deal with: the dead letters.
UNSUCCESSFUL = frozenset({ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT, ExecutionStatus.CRASHED})

#: An attempt that ends with one of these may be followed by another, if its job's policy has one left.
RETRYABLE = UNSUCCESSFUL

TRANSITIONS: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.QUEUED: frozenset(
        {ExecutionStatus.RUNNING, ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED, ExecutionStatus.FAILED}
    ),
    ExecutionStatus.RUNNING: frozenset(
        {
            ExecutionStatus.RETRYING,
            ExecutionStatus.SUCCESS,
            ExecutionStatus.FAILED,
            ExecutionStatus.TIMED_OUT,
            ExecutionStatus.CANCELLED,
            ExecutionStatus.CRASHED,
        }
    ),
    ExecutionStatus.RETRYING: frozenset({ExecutionStatus.RUNNING, ExecutionStatus.CANCELLED, ExecutionStatus.FAILED}),
    **{status: frozenset() for status in TERMINAL},
}


def may_follow(current: ExecutionStatus, following: ExecutionStatus) -> bool:
    """Whether an execution may go from ``current`` to ``following``."""
    return following in TRANSITIONS[current]
