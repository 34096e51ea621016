"""A job's schedule, as people say it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from platform_api.domain.jobs import JobSpec
from platform_api.ports.ticks import Ticks
from platform_api.web import words


def in_words(ticks: Ticks, spec: JobSpec) -> str:
    """``Every 5 minutes``, ``once, at ...``, ``on demand``."""
    if spec.schedule is not None:
        return ticks.describe(spec.schedule, spec.timezone)
    if spec.interval_seconds is not None:
        return f"Every {words.duration(spec.interval_seconds)}"
    if spec.run_at is not None:
        return f"Once, at {spec.run_at:%Y-%m-%d %H:%M} {spec.run_at.tzname() or spec.timezone}"
    return "On demand only"


def on_the_clock(moment: datetime, timezone: str) -> str:
    """The moment as a clock in that zone shows it."""
    return moment.astimezone(ZoneInfo(timezone)).strftime("%a %Y-%m-%d %H:%M:%S %Z")


def wall_time(moment: datetime, timezone: str) -> datetime:
    """What the clock of that zone shows; a moment without a zone is such a time already."""
    return moment if moment.tzinfo is None else moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
