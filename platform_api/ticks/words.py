"""Schedules in words, for people."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cron_descriptor import ExpressionDescriptor, Options  # type: ignore[import-untyped]

from platform_api.ticks import zones


def in_words(expression: str, timezone: str) -> str:
    """An accepted five-field expression in English, with its zone unless that is UTC."""
    options = Options()
    # Else the language would follow the environment of the process.
    options.locale_code = "en_US"
    words: str = ExpressionDescriptor(expression, options).get_full_description()
    return words if timezone == "UTC" else f"{words} ({timezone})"


def clock_change_note(zone: ZoneInfo, change: zones.ClockChange, named: datetime) -> str:
    """What a clock change does to the first tick that it touches."""
    day = f"{zones.wall_time(zone, change.at):%Y-%m-%d}"
    if change.forward:
        shown = zones.wall_time(zone, zones.moment_of(zone, named)[0])
        return f"The clocks go forward on {day}: {named:%H:%M} does not exist and happens at {shown:%H:%M}."
    return f"The clocks go back on {day}: {named:%H:%M} comes twice and happens the first time only."
