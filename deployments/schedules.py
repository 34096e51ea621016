"""A job's schedule as Prefect's own, such that Prefect proposes a run for every tick of ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

from platform_api.domain.jobs import JobSpec
from platform_api.ticks import CronTicks, zones
from platform_api.ticks.cron import parse
from platform_api.ticks.cron_ticks import INTERVAL_ANCHOR, run_at_moment

PrefectSchedule = CronSchedule | IntervalSchedule | RRuleSchedule

#: Slugs let Prefect keep a schedule's id through edits, and with it the keys that make its runs unique.
MAIN = "job"
CLOCK_CHANGES = "clock-changes"

#: How many years of clock changes a deployment holds, so that it need not be touched for them.
_YEARS = 4
#: Prefect takes rules of up to 6500 characters; a date takes 17.
_MOST_DATES = 370


def schedules_of(spec: JobSpec, now: datetime) -> dict[str, PrefectSchedule]:
    """The schedules to give to Prefect by slug; none for a job that runs on demand only."""
    main = main_schedule(spec)
    if main is None:
        return {}
    dates = list(_around_clock_changes(spec, now))[:_MOST_DATES]
    # Prefect lists the newest first: the job's own is to be seen first, so it is made last.
    return {CLOCK_CHANGES: _dates(dates), MAIN: main} if dates else {MAIN: main}


def main_schedule(spec: JobSpec) -> PrefectSchedule | None:
    """The job's own schedule."""
    if spec.schedule is not None:
        expression = parse(spec.schedule)
        # croniter joins two restricted day fields by OR even where one begins with a star; cron joins them by AND.
        by_and = expression.restricts_both_days and expression.days_must_agree
        return CronSchedule(cron=expression.text, timezone=spec.timezone, day_or=not by_and)
    if spec.interval_seconds is not None:
        interval = timedelta(seconds=spec.interval_seconds)
        return IntervalSchedule(interval=interval, anchor_date=INTERVAL_ANCHOR, timezone="UTC")
    if spec.run_at is not None:
        return _dates([run_at_moment(spec)])
    return None


def _dates(moments: list[datetime]) -> RRuleSchedule:
    dates = ",".join(f"{moment:%Y%m%dT%H%M%SZ}" for moment in moments)
    # Prefect adds this beginning to a rule without one; with it, what we read back is what we wrote.
    return RRuleSchedule(rrule=f"DTSTART:20200101T000000\nRDATE:{dates}", timezone="UTC")


def _around_clock_changes(spec: JobSpec, now: datetime) -> Iterator[datetime]:
    """The ticks of this year and the next few that Prefect's CronSchedule leaves out or puts elsewhere."""
    if spec.schedule is None:
        return
    zone = zones.zone(spec.timezone)
    # Whole years: the deployment's schedule stays the same from edit to edit.
    start = datetime(now.year, 1, 1, tzinfo=UTC)
    for change in zones.clock_changes(zone, start, start.replace(year=start.year + _YEARS)):
        for tick in _between(spec, change.at - timedelta(seconds=1), change.at + abs(change.jump)):
            if tick.astimezone(zone).fold or not _is_named(spec.schedule, zones.wall_time(zone, tick)):
                yield tick


def _between(spec: JobSpec, start: datetime, end: datetime) -> Iterator[datetime]:
    for tick in CronTicks().after(spec, start):
        if tick >= end:
            return
        yield tick


def _is_named(expression: str, wall: datetime) -> bool:
    return next(parse(expression).wall_times_after(wall - timedelta(seconds=1)), None) == wall
