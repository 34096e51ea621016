"""The ``Ticks`` of jobs, by cronsim and the zones of the standard library.

Clock changes. A cron expression speaks of the local clock:

- where its hour is ``*`` it means elapsed time: ``*/5 * * * *`` runs every five minutes all through the year, in
  both passes of an hour that comes twice;
- where it names hours, each time that it names happens once a day. A time that is skipped in spring is as much later
  as the clock jumps (02:30 happens at 03:30); where that is a tick already, both are one. A time that comes twice in
  autumn happens the first time only.

Prefect 3.8's CronSchedule differs: it leaves out the second pass in every expression (an hourly job pauses for two
hours), and it moves 02:30 to 01:30 (on Python up to 3.12). ``deployments.schedules`` therefore adds such ticks to
the deployment, and the worker drops what is no tick here.

Intervals count from the epoch in UTC, whatever the zone: every 3600 seconds is every full hour, for ever, and an
edit of something else in the job does not move it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from platform_api.domain.errors import FieldError
from platform_api.domain.jobs import JobSpec
from platform_api.ticks import zones
from platform_api.ticks.cron import CronExpression, CronFault, parse
from platform_api.ticks.words import clock_change_note, in_words

#: Ticks of an interval are whole multiples from here, in Prefect's schedule too.
INTERVAL_ANCHOR = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST_INTERVAL_SECONDS = 60
LONGEST_INTERVAL_SECONDS = 366 * 24 * 3600

#: No clock has ever jumped further (Samoa left out a whole day).
_LONGEST_JUMP = timedelta(hours=25)
_INSTANT = timedelta(microseconds=1)


class CronTicks:
    """Cron by cronsim, zones by zoneinfo."""

    def check(self, spec: JobSpec, now: datetime) -> list[FieldError]:
        """See ``ports.ticks.Ticks``."""
        faults: list[FieldError] = []
        zone_fault = _zone_fault(spec.timezone)
        if zone_fault:
            faults.append(FieldError("timezone", zone_fault))
        if spec.schedule is not None:
            faults += _cron_faults(spec.schedule)
        if spec.interval_seconds is not None:
            faults += _interval_faults(spec.interval_seconds)
        if spec.run_at is not None and not zone_fault:
            faults += _run_at_faults(spec, now)
        return faults

    def after(self, spec: JobSpec, moment: datetime) -> Iterator[datetime]:
        """See ``ports.ticks.Ticks``."""
        if spec.schedule is not None:
            yield from _cron_ticks(spec.schedule, zones.zone(spec.timezone), moment)
        elif spec.interval_seconds is not None:
            yield from _interval_ticks(spec.interval_seconds, moment)
        elif spec.run_at is not None and (once := run_at_moment(spec)) > moment:
            yield once

    def is_tick(self, spec: JobSpec, moment: datetime) -> bool:
        """See ``ports.ticks.Ticks``."""
        return next(self.after(spec, moment - _INSTANT), None) == moment

    def normalise(self, expression: str) -> str:
        """See ``ports.ticks.Ticks``; an expression that is not accepted raises ``CronFault``."""
        return parse(expression).text

    def describe(self, expression: str, timezone: str) -> str:
        """See ``ports.ticks.Ticks``; an expression that is not accepted raises ``CronFault``."""
        return in_words(parse(expression).text, timezone)

    def notes(self, spec: JobSpec, start: datetime, end: datetime) -> list[str]:
        """See ``ports.ticks.Ticks``."""
        if spec.schedule is None:
            return []
        zone = zones.zone(spec.timezone)
        changes = zones.clock_changes(zone, start, end)
        expression = parse(spec.schedule)
        return [note for change in changes if (note := _note(expression, zone, change))]


def _note(expression: CronExpression, zone: ZoneInfo, change: zones.ClockChange) -> str | None:
    """What a clock change does to the ticks of an expression that names hours; None when it does nothing."""
    length = abs(change.jump)
    start = zones.wall_time(zone, change.at) - (length if change.forward else timedelta(0))
    named = next(expression.wall_times_after(start - _INSTANT), None)
    if expression.every_hour or named is None or named >= start + length:
        return None
    return clock_change_note(zone, change, named)


def run_at_moment(spec: JobSpec) -> datetime:
    """The only tick of a job that runs once: ``run_at`` to the second, as Prefect's schedules cannot be finer.

    A part of a second is rounded up: nothing runs before the time that was asked for.
    Without an offset it is a time on the clock of the job's zone.
    """
    assert spec.run_at is not None  # noqa: S101 - the callers ask for jobs with run_at only
    whole = spec.run_at.replace(microsecond=0)
    if whole < spec.run_at:
        whole += timedelta(seconds=1)
    if whole.tzinfo is None:
        return zones.moment_of(zones.zone(spec.timezone), whole)[0]
    return whole.astimezone(UTC)


def _zone_fault(name: str) -> str | None:
    try:
        zones.zone(name)
    except zones.UnknownZone as fault:
        return str(fault)
    return None


def _cron_faults(expression: str) -> list[FieldError]:
    try:
        parse(expression)
    except CronFault as fault:
        return [FieldError("schedule", str(fault))]
    return []


def _interval_faults(seconds: int) -> list[FieldError]:
    if SHORTEST_INTERVAL_SECONDS <= seconds <= LONGEST_INTERVAL_SECONDS:
        return []
    message = f"must be from {SHORTEST_INTERVAL_SECONDS} to {LONGEST_INTERVAL_SECONDS} seconds, not {seconds}"
    return [FieldError("interval_seconds", message)]


def _run_at_faults(spec: JobSpec, now: datetime) -> list[FieldError]:
    try:
        moment = run_at_moment(spec)
    except OverflowError:
        return [FieldError("run_at", "is beyond the calendar")]
    if moment > now:
        return []
    return [FieldError("run_at", f"{moment.isoformat()} is in the past; it is {now:%Y-%m-%dT%H:%M:%S}+00:00 now")]


def _interval_ticks(seconds: int, moment: datetime) -> Iterator[datetime]:
    interval = timedelta(seconds=seconds)
    tick = INTERVAL_ANCHOR + ((moment - INTERVAL_ANCHOR) // interval + 1) * interval
    while True:
        yield tick
        tick += interval


def _cron_ticks(expression: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    accepted = parse(expression)
    if accepted.every_hour:
        return accepted.moments_after(moment.astimezone(zone))
    return _named_times(accepted, zone, moment)


def _named_times(expression: CronExpression, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """In order, although the ticks of a skipped hour move behind some that the clock names later."""
    # Ticks that a recent jump moved may still be ahead of us, so their wall times are looked at again.
    back = timedelta(0) if zones.steady_since(zone, moment, _LONGEST_JUMP) else _LONGEST_JUMP
    moved: list[datetime] = []
    last = moment
    for wall in expression.wall_times_after(zones.wall_time(zone, moment - back)):
        tick, shown = zones.moment_of(zone, wall)
        heapq.heappush(moved, tick)
        if not shown:
            continue
        while moved and moved[0] <= tick:
            due = heapq.heappop(moved)
            if due > last:
                last = due
                yield due
