"""Small sums that several pages show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from platform_api.domain.executions import UNSUCCESSFUL, ExecutionStatus
from platform_api.ports.metrics import RecentRun


def success_rate(runs: Iterable[RecentRun]) -> float | None:
    """The share of successes among what succeeded or failed; None before the first verdict."""
    statuses = [run.status for run in runs]
    good = statuses.count(ExecutionStatus.SUCCESS)
    bad = sum(status in UNSUCCESSFUL for status in statuses)
    return good / (good + bad) if good + bad else None


def bars(runs: Sequence[RecentRun]) -> list[tuple[str, float | None]]:
    """What ``sparkline`` draws."""
    return [(run.status, run.duration_seconds) for run in runs]
