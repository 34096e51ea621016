"""Cron expressions: what is accepted, and where a wrong one is wrong.

The grammar is what Vixie's cron, cronsim and Prefect's croniter all read the same way: five fields of ``*``, numbers,
names, ranges and steps in lists, ``L`` as the last day of the month, and ``MON#2`` as the second Monday. Forms that
those disagree about (``5L``, ``W``, ``?``, ranges that run backwards, seconds) are refused with a hint, so that a
job never runs at a time other than its preview showed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_LAST_NTH = 5
_START_OF_SEARCH = datetime(2024, 1, 1)


class CronFault(ValueError):
    """What is wrong with an expression; ``position`` counts its characters from 1."""

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        super().__init__(f"position {position}: {message}")


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five columns."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def span(self) -> str:
        """The values it takes, for messages."""
        return f"{self.low}-{self.high}"

    @property
    def last(self) -> int:
        """Its last value; Sunday is counted once, as 0."""
        return 6 if self.names == _WEEKDAYS else self.high


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = _FIELDS[2], _FIELDS[4]
_COLUMNS = "minute, hour, day of month, month, day of week"


@dataclass(frozen=True, slots=True)
class CronExpression:
    """An accepted expression; ``text`` has five fields, in capitals, each understood alike by every cron."""

    text: str

    @property
    def days_must_agree(self) -> bool:
        """Whether day of month and day of week must both match.

        As in Vixie's cron: either of them must match, unless one of the two fields begins with a star.
        """
        fields = self.text.split()
        return fields[2].startswith("*") or fields[4].startswith("*")

    @property
    def restricts_both_days(self) -> bool:
        """Whether neither of the two day fields is a star alone."""
        fields = self.text.split()
        return "*" not in (fields[2], fields[4])

    @property
    def every_hour(self) -> bool:
        """Whether it speaks of elapsed time instead of certain hours of the day."""
        return self.text.split()[1] == "*"

    def moments_after(self, moment: datetime) -> Iterator[datetime]:
        """The moments (UTC) after ``moment`` at which a clock in the zone of ``moment`` shows a time named here."""
        return (match.astimezone(UTC) for match in CronSim(self.text, moment))

    def wall_times_after(self, moment: datetime) -> Iterator[datetime]:
        """The times on a clock without zone, strictly after ``moment``."""
        return CronSim(self.text, moment)


@lru_cache(maxsize=4096)
def parse(expression: str) -> CronExpression:
    """Read an expression or macro; raises ``CronFault`` where it is wrong or can never be due."""
    accepted = CronExpression(_five_fields(expression))
    if not _ever_fires(accepted):
        raise CronFault(_start_of(expression, 2), "it never fires: no month that it names has such a day")
    return accepted


def _five_fields(expression: str) -> str:
    stripped = expression.strip()
    if stripped.startswith("@"):
        return _macro(expression, stripped.lower())
    found = list(re.finditer(r"\S+", expression))
    _check_count(expression, found)
    fields = [_field(field, match) for field, match in zip(_FIELDS, found, strict=True)]
    if "#" in fields[4] and fields[2] != "*":
        # Whether both or either must match is told differently by different crons.
        raise CronFault(found[2].start() + 1, "day of month must be * where day of week has a #")
    return " ".join(fields)


def _macro(expression: str, macro: str) -> str:
    position = expression.index("@") + 1
    if macro == "@reboot":
        raise CronFault(position, "@reboot is not available: a job belongs to no machine whose start it could follow")
    if macro not in MACROS:
        raise CronFault(position, f"unknown macro {macro}; known are {', '.join(MACROS)}")
    return MACROS[macro]


def _check_count(expression: str, found: list[re.Match[str]]) -> None:
    if not found:
        raise CronFault(1, f"the expression is empty; it takes five fields: {_COLUMNS}")
    if len(found) < len(_FIELDS):
        missing = _FIELDS[len(found)].name
        raise CronFault(len(expression.rstrip()) + 1, f"{missing} is missing; five fields are needed: {_COLUMNS}")
    if len(found) > len(_FIELDS):
        surplus = found[len(_FIELDS)]
        raise CronFault(
            surplus.start() + 1,
            f"{len(found)} fields where five are needed: {_COLUMNS}; seconds and years are not available",
        )


def _field(field: _Field, match: re.Match[str]) -> str:
    position = match.start() + 1
    terms = []
    for term in match.group().upper().split(","):
        terms.append(_term(field, term, position))
        position += len(term) + 1
    if len(terms) > 1 and any(_is_special(field, term) for term in terms):
        raise CronFault(match.start() + 1, f"{field.name}: L and # stand alone, not in a list")
    if "*" in terms:
        return "*"
    # A star further behind would be taken by some for a field of all values, by others not.
    return ",".join([terms[0], *(_spelled_out(field, term) for term in terms[1:])])


def _spelled_out(field: _Field, term: str) -> str:
    return f"{field.low}-{field.last}{term.removeprefix('*')}" if term.startswith("*") else term


def _is_special(field: _Field, term: str) -> bool:
    return (field is _DAY_OF_MONTH and term == "L") or "#" in term


def _term(field: _Field, term: str, position: int) -> str:
    """One item of a list, in the form that every cron reads alike."""
    if field is _DAY_OF_MONTH and term == "L":
        return term
    if field is _DAY_OF_WEEK and "#" in term:
        return _nth_weekday(field, term, position)
    base, slash, step = term.partition("/")
    if not slash:
        return _base(field, base, position)
    _check_step(field, step, position + len(base) + 1)
    if base == "*":
        return base if int(step) == 1 else term
    first, last = _bounds(field, base, position)
    if last is None:
        # "5/10" is "from 5 on".
        last = field.last
    return f"{first}-{last}/{int(step)}" if first < last else str(first)


def _base(field: _Field, base: str, position: int) -> str:
    if base == "*":
        return base
    first, last = _bounds(field, base, position)
    return str(first) if last is None or last == first else f"{first}-{last}"


def _bounds(field: _Field, base: str, position: int) -> tuple[int, int | None]:
    """``3`` is (3, None), ``3-5`` is (3, 5)."""
    start, dash, end = base.partition("-")
    first = _value(field, start, position)
    if not dash:
        return first, None
    last = _value(field, end, position + len(start) + 1)
    if last < first:
        hint = f"write {start}-{field.high},{field.low}-{end}" if last >= field.low else "swap its ends"
        raise CronFault(position, f"{field.name} range {base} runs backwards; {hint}")
    return first, last


def _value(field: _Field, word: str, position: int) -> int:
    if word in field.names:
        return field.names.index(word) + field.low
    if not (word.isascii() and word.isdigit()):
        raise CronFault(position, _not_a_value(field, word))
    if not field.low <= int(word) <= field.high:
        raise CronFault(position, f"{field.name} {word} is out of range {field.span}")
    return int(word)


def _not_a_value(field: _Field, word: str) -> str:
    if not word:
        return f"{field.name}: a value is missing"
    if word == "?":
        return f"{field.name}: ? is not available, write *"
    names = f" or {field.names[0]}-{field.names[-1]}" if field.names else ""
    return f"{field.name} {word!r} is not a number {field.span}{names}"


def _check_step(field: _Field, step: str, position: int) -> None:
    if not (step.isascii() and step.isdigit()) or int(step) == 0:
        raise CronFault(position, f"{field.name} step {step!r} is not a number from 1 on")
    if int(step) > field.high:
        raise CronFault(position, f"{field.name} step {step} is larger than its range {field.span}")


def _nth_weekday(field: _Field, term: str, position: int) -> str:
    day, _, nth = term.partition("#")
    value = _value(field, day, position) % 7
    if not (nth.isascii() and nth.isdigit() and 1 <= int(nth) <= _LAST_NTH):
        raise CronFault(position + len(day) + 1, f"{field.name}: # takes a number from 1 to {_LAST_NTH}, as in MON#2")
    return f"{value}#{int(nth)}"


def _ever_fires(expression: CronExpression) -> bool:
    try:
        # cronsim searches 50 years; a leap day of a certain weekday comes at least every 40.
        return next(expression.wall_times_after(_START_OF_SEARCH), None) is not None
    except CronSimError:
        # The syntax was checked above; what is left is a day that none of its months has.
        return False


def _start_of(expression: str, column: int) -> int:
    """The position of a column, or of a macro."""
    starts = [match.start() for match in re.finditer(r"\S+", expression)]
    return starts[min(column, len(starts) - 1)] + 1
