"""Ticks around every clock change of the next two years in every zone, against croniter's reading of the expression.

The oracle knows neither cronsim nor our calendar: it walks through real minutes, asks what a clock in the zone shows,
and whether croniter's fields name that time. Zones that change alike are tested once; ``JOB_PLATFORM_ALL_ZONES=1``
tests each by its own name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect._vendor.croniter import croniter

from platform_api.domain.jobs import JobSpec, JobType
from platform_api.ticks import CronTicks
from platform_api.ticks.zones import UnknownZone, zone

TICKS = CronTicks()
ALL_ZONES = os.environ.get("JOB_PLATFORM_ALL_ZONES") == "1"

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Two years from the beginning of this one, and then some: the set of tests is the same all year.
START = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)
END = START.replace(year=START.year + 3)

OF_EVERY_HOUR = ("* * * * *", "*/15 * * * *", "7,37 * * * *", "0 * * * 0")
OF_NAMED_HOURS = (
    "30 2 * * *",
    "0 0 * * *",
    "*/10 0-3 * * *",
    "59 23 * * *",
    "15,45 1,2,3 * * 0",
    "0 */2 * * *",
    "*/5 0-23 * * *",
    "30 1 * * 6",
)


@dataclass(frozen=True)
class Change:
    """A clock change: the first minute of the new time, and how far the clock jumps."""

    zone: str
    at: datetime
    jump: timedelta

    def __str__(self) -> str:
        return f"{self.zone} {self.at:%Y-%m-%d}"


def offset(name: str, moment: datetime) -> timedelta:
    return moment.astimezone(ZoneInfo(name)).utcoffset() or timedelta(0)


def changes(name: str, start: datetime = START, end: datetime = END, step: timedelta = DAY) -> Iterator[Change]:
    """By days, then hours, then minutes: plainer than the search that is tested."""
    before = offset(name, start)
    while start < end:
        after = offset(name, start + step)
        if after != before and step == MINUTE:
            yield Change(name, start + step, after - before)
        elif after != before:
            yield from changes(name, start, start + step, HOUR if step == DAY else MINUTE)
        start, before = start + step, after


def accepted(name: str) -> bool:
    try:
        return bool(zone(name))
    except UnknownZone:
        return False


def all_changes() -> list[Change]:
    """Of zones that do the same, the first by name; or all of them."""
    found: dict[object, list[Change]] = {}
    for name in sorted(filter(accepted, available_timezones())):
        own = list(changes(name))
        key = name if ALL_ZONES else (offset(name, START), tuple((change.at, change.jump) for change in own))
        found.setdefault(key, own)
    return [change for own in found.values() for change in own]


CHANGES = all_changes()


@cache
def fields_of(expression: str) -> list[frozenset[object]]:
    """croniter's reading of the expression."""
    return [frozenset(field) for field in croniter.expand(expression)[0][:5]]


def names(expression: str, wall: datetime) -> bool:
    """Whether the expression has the time on the clock."""
    shown = (wall.minute, wall.hour, wall.day, wall.month, wall.isoweekday() % 7)
    return all("*" in field or value in field for field, value in zip(fields_of(expression), shown, strict=True))


@lru_cache(maxsize=8)
def minutes_of(zone_name: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Each minute in ``start < minute <= end`` with what a clock in the zone shows."""
    moments = [start + n * MINUTE for n in range(1, (end - start) // MINUTE + 1)]
    return [(moment, moment.astimezone(ZoneInfo(zone_name)).replace(tzinfo=None)) for moment in moments]


def is_due(expression: str, change: Change, moment: datetime, wall: datetime) -> bool:
    """The policy, word by word."""
    shown = names(expression, wall)
    every_hour = expression.split()[1] == "*"
    just_after = change.at <= moment < change.at + abs(change.jump)
    if every_hour or not just_after:
        return shown
    if change.jump > timedelta(0):
        # The clock has skipped some times; they happen as much later as it has jumped.
        return shown or names(expression, wall - change.jump)
    # The clock shows this for the second time.
    return False


def expected(expression: str, change: Change, start: datetime, end: datetime) -> list[datetime]:
    minutes = minutes_of(change.zone, start, end)
    return [moment for moment, wall in minutes if is_due(expression, change, moment, wall)]


def ours(expression: str, zone_name: str, start: datetime, end: datetime) -> list[datetime]:
    spec = JobSpec(name="job", type=JobType.SHELL, schedule=expression, timezone=zone_name)
    return list(takewhile(lambda tick: tick <= end, TICKS.after(spec, start)))


def test_the_zones_tested_are_those_that_change() -> None:
    zones = {change.zone for change in CHANGES}
    assert len(zones) > (100 if ALL_ZONES else 15)
    jumps = {abs(change.jump) for change in CHANGES}
    assert {timedelta(hours=1), timedelta(minutes=30)} <= jumps


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_ticks_are_right_around_a_clock_change(change: Change) -> None:
    start, end = change.at - timedelta(hours=5), change.at + timedelta(hours=7)
    for expression in (*OF_EVERY_HOUR, *OF_NAMED_HOURS):
        assert ours(expression, change.zone, start, end) == expected(expression, change, start, end), expression


@pytest.mark.parametrize("change", CHANGES[:: 1 if ALL_ZONES else 7], ids=str)
def test_ticks_are_the_same_from_wherever_one_looks(change: Change) -> None:
    end = change.at + timedelta(hours=7)
    for expression in ("*/10 0-3 * * *", "30 2 * * *", "*/15 * * * *"):
        all_ticks = ours(expression, change.zone, change.at - timedelta(hours=5), end)
        for minutes in range(-150, 151, 10):
            start = change.at + minutes * MINUTE
            assert ours(expression, change.zone, start, end) == [tick for tick in all_ticks if tick > start]


def _numbers(low: int, high: int) -> st.SearchStrategy[str]:
    step = st.integers(2, high).map(lambda n: f"*/{n}")
    return st.one_of(st.just("*"), step, st.sets(st.integers(low, high), min_size=1, max_size=3).map(_joined))


def _joined(values: set[int]) -> str:
    return ",".join(map(str, sorted(values)))


@settings(max_examples=150, deadline=None)
@given(_numbers(0, 59), st.one_of(_numbers(0, 3), _numbers(0, 23)), st.sampled_from(CHANGES))
def test_any_times_are_right_around_any_clock_change(minutes: str, hours: str, change: Change) -> None:
    expression = f"{minutes} {hours} * * *"
    start, end = change.at - timedelta(hours=3), change.at + timedelta(hours=4)
    assert ours(expression, change.zone, start, end) == expected(expression, change, start, end)
