"""When jobs are due: accepted and refused schedules, and the same moments as Prefect's own schedules."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect._vendor.croniter import croniter
from prefect.client.schemas.schedules import CronSchedule as ClientCron
from prefect.client.schemas.schedules import IntervalSchedule as ClientInterval
from prefect.client.schemas.schedules import RRuleSchedule as ClientRRule
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

from deployments.schedules import schedules_of
from platform_api.domain.jobs import JobSpec, JobType
from platform_api.ticks import CronTicks
from platform_api.ticks.cron import CronFault

TICKS = CronTicks()
NOW = datetime(2026, 11, 22, 16, 30, 30, tzinfo=UTC)


def job(**schedule) -> JobSpec:
    return JobSpec(name="job", type=JobType.PYTHON, **schedule)


def first(count: int, moment: datetime, **schedule) -> list[str]:
    return [tick.strftime("%Y-%m-%d %H:%M:%S") for tick in islice(TICKS.after(job(**schedule), moment), count)]


@pytest.mark.parametrize(
    ("expression", "normalised"),
    [
        ("* * * * *", "* * * * *"),
        ("  0   9 * *\tmon-fri ", "0 9 * * 1-5"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("5/20 * * * *", "5-59/20 * * * *"),
        ("0 0 1 jan,JUL *", "0 0 1 1,7 *"),
        ("0 0 L * *", "0 0 L * *"),
        ("0 0 1 * 0,*/1", "0 0 1 * *"),
        ("0 0 1 * 1,*/2", "0 0 1 * 1,0-6/2"),
        ("*/20,5 * * * *", "*/20,5 * * * *"),
        ("0 0 * * MON#2", "0 0 * * 1#2"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 30 2 MON", "0 0 30 2 1"),
    ],
)
def test_an_accepted_expression_has_one_five_field_form(expression, normalised):
    assert TICKS.check(job(schedule=expression), NOW) == []
    assert TICKS.normalise(expression) == normalised


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 25 * * *", "position 3: hour 25 is out of range 0-23"),
        ("60 * * * *", "position 1: minute 60 is out of range 0-59"),
        ("0 0 0 * *", "position 5: day of month 0 is out of range 1-31"),
        ("0 0 1 13 *", "position 7: month 13 is out of range 1-12"),
        ("0 0 * * 8", "position 9: day of week 8 is out of range 0-7"),
        ("  5 24 * * *", "position 5: hour 24 is out of range 0-23"),
        ("0 1,2,99 * * *", "position 7: hour 99 is out of range 0-23"),
        ("0 8-25 * * *", "position 5: hour 25 is out of range 0-23"),
        ("0 22-4 * * *", "position 3: hour range 22-4 runs backwards; write 22-23,0-4"),
        ("x * * * *", "position 1: minute 'X' is not a number 0-59"),
        ("0 0 * * MON-XYZ", "position 13: day of week 'XYZ' is not a number 0-7 or SUN-SAT"),
        ("*/0 * * * *", "position 3: minute step '0' is not a number from 1 on"),
        ("*/ * * * *", "position 3: minute step '' is not a number from 1 on"),
        ("*/90 * * * *", "position 3: minute step 90 is larger than its range 0-59"),
        ("0 0 1,, * *", "position 7: day of month: a value is missing"),
        ("-5 * * * *", "position 1: minute: a value is missing"),
        ("0 0 ? * 1", "position 5: day of month: ? is not available, write *"),
        ("0 0 * * 5L", "position 9: day of week '5L' is not a number 0-7 or SUN-SAT"),
        ("0 0 * * MON#6", "position 13: day of week: # takes a number from 1 to 5, as in MON#2"),
        ("0 0 1 * MON#2", "position 5: day of month must be * where day of week has a #"),
        ("0 0 L,1 * *", "position 5: day of month: L and # stand alone, not in a list"),
        ("0 0 30 2 *", "position 5: it never fires: no month that it names has such a day"),
        ("0 0 31 4,6,9,11 *", "position 5: it never fires: no month that it names has such a day"),
    ],
)
def test_a_wrong_expression_is_refused_at_its_position(expression, message):
    [fault] = TICKS.check(job(schedule=expression), NOW)
    assert (fault.field, fault.message) == ("schedule", message)


@pytest.mark.parametrize(
    ("expression", "start"),
    [
        ("", "position 1: the expression is empty"),
        ("   ", "position 1: the expression is empty"),
        ("* * * *", "position 8: day of week is missing"),
        ("0 * * * * *", "position 11: 6 fields where five are needed"),
        ("@reboot", "position 1: @reboot is not available"),
        ("@every 5m", "position 1: unknown macro @every 5m"),
    ],
)
def test_a_wrong_shape_is_explained(expression, start):
    [fault] = TICKS.check(job(schedule=expression), NOW)
    assert fault.message.startswith(start)


def test_the_port_methods_raise_for_an_expression_that_check_refuses():
    with pytest.raises(CronFault):
        TICKS.normalise("0 25 * * *")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Europe/Berln", "unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
        ("berlin", "unknown time zone 'berlin'; did you mean 'Europe/Berlin'?"),
        ("new york", "unknown time zone 'new york'; did you mean 'America/New_York'?"),
        ("Mars/Olympus", "unknown time zone 'Mars/Olympus'; write an IANA name such as 'Europe/Berlin' or 'UTC'"),
        ("../etc/passwd", "unknown time zone '../etc/passwd'; write an IANA name such as 'Europe/Berlin' or 'UTC'"),
        ("", "unknown time zone ''; write an IANA name such as 'Europe/Berlin' or 'UTC'"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(name, message):
    [fault] = TICKS.check(job(schedule="@daily", timezone=name), NOW)
    assert (fault.field, fault.message) == ("timezone", message)


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"run_at": NOW - timedelta(seconds=1)}, "run_at"),
        ({"run_at": NOW}, "run_at"),
        ({"run_at": NOW + timedelta(seconds=1)}, None),
        ({"run_at": datetime(2026, 11, 22, 17, 0), "timezone": "Europe/Berlin"}, "run_at"),
        ({"run_at": datetime(2026, 11, 22, 18, 0), "timezone": "Europe/Berlin"}, None),
        ({"interval_seconds": 59}, "interval_seconds"),
        ({"interval_seconds": 60}, None),
        ({"interval_seconds": 366 * 86400 + 1}, "interval_seconds"),
        ({}, None),
    ],
)
def test_moments_and_intervals_have_bounds(schedule, field):
    assert [fault.field for fault in TICKS.check(job(**schedule), NOW)] == ([field] if field else [])


def test_several_faults_are_told_at_once():
    faults = TICKS.check(job(schedule="bad", timezone="bad", interval_seconds=1), NOW)
    assert {fault.field for fault in faults} == {"schedule", "timezone", "interval_seconds"}


def test_ticks_follow_the_local_clock_and_are_utc():
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    assert first(1, NOW, schedule="0 9 * * *", timezone="Europe/Berlin") == ["2026-11-23 08:00:00"]
    assert first(1, summer, schedule="0 9 * * *", timezone="Europe/Berlin") == ["2026-07-01 07:00:00"]


def test_ticks_are_strictly_after_the_moment():
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert first(1, moment, schedule="0 12 * * *") == ["2026-01-02 12:00:00"]
    assert first(1, moment - timedelta(microseconds=1), schedule="0 12 * * *") == ["2026-01-01 12:00:00"]


def test_a_skipped_time_happens_as_much_later_as_the_clock_jumps():
    day = datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert first(2, day, schedule="30 2 * * *", timezone="America/New_York") == [
        "2026-03-08 07:30:00",
        "2026-03-09 06:30:00",
    ]


def test_a_skipped_time_that_is_moved_onto_another_tick_is_one_tick():
    day = datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert first(2, day, schedule="30 2,3 * * *", timezone="America/New_York") == [
        "2026-03-08 07:30:00",
        "2026-03-09 06:30:00",
    ]


def test_a_moved_tick_is_found_from_a_moment_inside_the_jump():
    inside = datetime(2026, 3, 8, 7, 10, tzinfo=UTC)
    assert first(1, inside, schedule="30 2 * * *", timezone="America/New_York") == ["2026-03-08 07:30:00"]


def test_a_time_that_comes_twice_happens_the_first_time_only():
    night = datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert first(2, night, schedule="30 1 * * *", timezone="America/New_York") == [
        "2026-11-01 05:30:00",
        "2026-11-02 06:30:00",
    ]


def test_an_hourly_job_runs_in_both_passes_of_an_hour_that_comes_twice():
    night = datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert first(3, night, schedule="0 * * * *", timezone="America/New_York") == [
        "2026-11-01 05:00:00",
        "2026-11-01 06:00:00",
        "2026-11-01 07:00:00",
    ]


def test_intervals_count_from_the_epoch_whatever_the_zone():
    assert first(2, NOW, interval_seconds=3600, timezone="Asia/Kolkata") == [
        "2026-11-22 17:00:00",
        "2026-11-22 18:00:00",
    ]
    assert TICKS.is_tick(job(interval_seconds=90), datetime(1970, 1, 1, 0, 3, tzinfo=UTC))


def test_run_at_is_one_tick_at_the_next_whole_second():
    spec = job(run_at=datetime(2026, 12, 1, 7, 59, 59, 250_000, tzinfo=UTC))
    assert list(TICKS.after(spec, NOW)) == [datetime(2026, 12, 1, 8, tzinfo=UTC)]
    assert TICKS.is_tick(spec, datetime(2026, 12, 1, 8, tzinfo=UTC))
    assert list(TICKS.after(spec, datetime(2026, 12, 1, 8, tzinfo=UTC))) == []


def test_a_job_without_a_schedule_has_no_ticks():
    assert list(TICKS.after(job(), NOW)) == []
    assert not TICKS.is_tick(job(), NOW)


@pytest.mark.parametrize(
    ("expression", "timezone", "words"),
    [
        ("0 2 * * MON", "UTC", "At 02:00 AM, only on Monday"),
        ("@daily", "UTC", "At 12:00 AM"),
        ("*/5 * * * *", "Europe/Berlin", "Every 5 minutes (Europe/Berlin)"),
    ],
)
def test_an_expression_is_described_in_words(expression, timezone, words):
    assert TICKS.describe(expression, timezone) == words


def test_clock_changes_are_noted_where_they_touch_a_tick():
    year = (NOW, NOW + timedelta(days=365))
    assert TICKS.notes(job(schedule="30 2 * * *", timezone="America/New_York"), *year) == [
        "The clocks go forward on 2027-03-14: 02:30 does not exist and happens at 03:30."
    ]
    assert TICKS.notes(job(schedule="30 1 * * *", timezone="America/New_York"), *year) == [
        "The clocks go back on 2027-11-07: 01:30 comes twice and happens the first time only."
    ]
    assert TICKS.notes(job(schedule="0 9 * * *", timezone="America/New_York"), *year) == []
    assert TICKS.notes(job(schedule="30 2 * * *"), *year) == []
    assert TICKS.notes(job(schedule="*/5 * * * *", timezone="America/New_York"), *year) == []
    assert TICKS.notes(job(interval_seconds=60, timezone="America/New_York"), *year) == []


def _item(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    span = st.tuples(value, value).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.tuples(st.one_of(st.just("*"), span, value.map(str)), st.integers(1, high)).map(
        lambda p: f"{p[0]}/{p[1]}"
    )
    return st.one_of(value.map(str), span, step)


def _field(low: int, high: int, *others: str) -> st.SearchStrategy[str]:
    lists = st.lists(_item(low, high), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), lists, *(st.just(other) for other in others))


EXPRESSIONS = st.tuples(
    _field(0, 59), _field(0, 23), _field(1, 31, "L"), _field(1, 12), _field(0, 7, "MON#2", "0#5", "FRI#1")
).map(" ".join)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
#: With daylight saving time, half-hour jumps, none, and a zone that went without a whole day.
ZONES = st.sampled_from(
    ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca"]
)


def prefects(spec: JobSpec, moment: datetime, count: int) -> list[datetime]:
    """The next runs that Prefect's scheduler would propose for the schedules that the job's deployment has."""
    kinds = {ClientCron: CronSchedule, ClientInterval: IntervalSchedule, ClientRRule: RRuleSchedule}
    proposed: set[datetime] = set()
    for schedule in schedules_of(spec, moment).values():
        dates = kinds[type(schedule)](**schedule.model_dump()).get_dates(count, moment + timedelta(microseconds=1))
        proposed |= {date.astimezone(UTC) for date in asyncio.run(dates)}
    return sorted(proposed)


def by_brute_force(expression: str, zone: str, moment: datetime, count: int) -> list[datetime]:
    """The first minutes whose local time croniter says the expression names."""
    local = ZoneInfo(zone)
    minutes = (moment.replace(second=0, microsecond=0) + timedelta(minutes=n) for n in range(1, 600))
    named = (m for m in minutes if croniter.match(expression, m.astimezone(local).replace(tzinfo=None)))
    return list(islice(named, count))


@settings(max_examples=80, deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_prefect_proposes_a_run_for_every_tick(expression, zone, moment):
    spec = job(schedule=expression, timezone=zone)
    if TICKS.check(spec, moment):
        return
    ours = list(islice(TICKS.after(spec, moment), 4))
    assert set(ours) <= set(prefects(spec, moment, 8))


@settings(max_examples=80, deadline=None)
@given(EXPRESSIONS, st.sampled_from(["UTC", "Asia/Kolkata"]), MOMENTS)
def test_where_clocks_never_change_ticks_are_exactly_what_prefect_proposes(expression, zone, moment):
    spec = job(schedule=expression, timezone=zone)
    if TICKS.check(spec, moment):
        return
    assert list(islice(TICKS.after(spec, moment), 4)) == prefects(spec, moment, 4)


CHANGES = [
    ("America/New_York", datetime(2026, 3, 8, 7)),
    ("America/New_York", datetime(2026, 11, 1, 6)),
    ("Europe/Berlin", datetime(2026, 3, 29, 1)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15)),
]


@pytest.mark.parametrize("expression", ["* * * * *", "*/30 * * * *", "0 * * * *", "30 2 * * *", "*/15 1-3 * * *"])
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_prefect_proposes_the_ticks_around_a_clock_change(expression, zone, change):
    spec = job(schedule=expression, timezone=zone)
    moment = change.replace(tzinfo=UTC) - timedelta(hours=3)
    ours = list(takewhile(lambda tick: tick < moment + timedelta(hours=6), TICKS.after(spec, moment)))
    assert set(ours) <= set(prefects(spec, moment, 400))


@pytest.mark.parametrize("expression", ["* * * * *", "*/30 * * * *", "0 * * * *", "20,50 * * * *"])
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_an_expression_of_every_hour_speaks_of_elapsed_time(expression, zone, change):
    moment = change.replace(tzinfo=UTC) - timedelta(hours=3)
    ours = list(islice(TICKS.after(job(schedule=expression, timezone=zone), moment), 6))
    assert ours == by_brute_force(expression, zone, moment, 6)


@settings(max_examples=30, deadline=None)
@given(st.integers(60, 40 * 86400), MOMENTS)
def test_interval_ticks_are_the_runs_that_prefect_proposes(seconds, moment):
    spec = job(interval_seconds=seconds, timezone="America/New_York")
    assert list(islice(TICKS.after(spec, moment), 3)) == prefects(spec, moment, 3)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, ZONES, MOMENTS)
def test_ticks_ascend_and_each_is_a_tick(expression, zone, moment):
    spec = job(schedule=expression, timezone=zone)
    if TICKS.check(spec, moment):
        return
    ticks = list(islice(TICKS.after(spec, moment), 5))
    assert all(earlier < later for earlier, later in pairwise([moment, *ticks]))
    assert all(TICKS.is_tick(spec, tick) for tick in ticks)
    assert not TICKS.is_tick(spec, ticks[0] + timedelta(seconds=1))
