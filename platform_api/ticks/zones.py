"""Time zones: finding one, and the clock changes that a schedule meets."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

#: Names that the database of zones has, but that mean "whatever this machine is set to" or nothing.
_NO_PLACES = frozenset({"localtime", "Factory", "posixrules"})


class UnknownZone(ValueError):
    """There is no such time zone."""


@cache
def _known() -> dict[str, str]:
    """Every zone's name by its lower-case form."""
    return {name.lower(): name for name in sorted(available_timezones() - _NO_PLACES)}


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of that name; raises ``UnknownZone`` with the nearest name there is."""
    try:
        if name in _known().values():
            return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        pass
    raise UnknownZone(f"unknown time zone {name!r}{_suggestion(name)}")


def _suggestion(name: str) -> str:
    wanted = name.strip().lower().replace(" ", "_")
    by_city = {known.rpartition("/")[2]: known for known in sorted(_known(), key=len, reverse=True)}
    near = difflib.get_close_matches(wanted, _known(), n=1, cutoff=0.7)
    near = near or [by_city[city] for city in difflib.get_close_matches(wanted, by_city, n=1, cutoff=0.7)]
    return f"; did you mean {_known()[near[0]]!r}?" if near else "; write an IANA name such as 'Europe/Berlin' or 'UTC'"


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The moment at which a zone's clocks jump, by how much."""

    at: datetime
    jump: timedelta

    @property
    def forward(self) -> bool:
        """Whether a stretch of local time is skipped; otherwise one comes twice."""
        return self.jump > timedelta(0)


def clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[ClockChange]:
    """The changes in ``start < at <= end``, in order."""
    day = timedelta(days=1)
    while start < end:
        following = min(start + day, end)
        before, after = _offset(zone, start), _offset(zone, following)
        if before != after:
            yield ClockChange(_first_with(zone, after, start, following), after - before)
        start = following


def _first_with(zone: ZoneInfo, offset: timedelta, low: datetime, high: datetime) -> datetime:
    """The second at which the zone takes ``offset``, between the two."""
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if _offset(zone, middle) == offset else (middle, high)
    return high.replace(microsecond=0)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def wall_time(zone: ZoneInfo, moment: datetime) -> datetime:
    """What a clock in the zone shows at a moment."""
    return moment.astimezone(zone).replace(tzinfo=None)


def moment_of(zone: ZoneInfo, wall: datetime) -> tuple[datetime, bool]:
    """The moment (UTC) of a time on the zone's clock, and whether the clock shows it at all.

    A time that comes twice is its first coming; one that is skipped is as much later as the clock jumps.
    """
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    return moment, wall_time(zone, moment) == wall


def steady_since(zone: ZoneInfo, moment: datetime, span: timedelta) -> bool:
    """Whether the clocks have not jumped during the ``span`` before the moment."""
    return _offset(zone, moment - span) == _offset(zone, moment)
