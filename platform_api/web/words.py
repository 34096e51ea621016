"""Times, durations and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float | timedelta | None) -> str:
    """``1 h 5 min``, ``12.3 s``, ``840 ms``: two units at most."""
    if seconds is None:
        return "–"
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if total < 1:
        return f"{1000 * total:.0f} ms"
    if total < 60:
        return f"{total:.1f}".removesuffix(".0") + " s"
    whole = round(total)
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def number(value: float | None) -> str:
    """With thin spaces between the thousands."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def percent(share: float | None) -> str:
    """A share of one, without pretending to more precision than it has; never 100 % when one failed."""
    if share is None:
        return "–"
    if 0.999 < share < 1:
        return "99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def size(count: int) -> str:
    """An amount of bytes."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.1f}".removesuffix(".0") + f" {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def machine_time(moment: datetime) -> str:
    """For the attribute ``datetime``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(moment: datetime) -> str:
    """For those without script, and for the tip of a time in the reader's zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def relative(moment: datetime, now: datetime) -> str:
    """``in 5 min`` or ``3 h ago``; the page keeps it up to date."""
    distance = (moment - now).total_seconds()
    if abs(distance) < 5:
        return "now"
    whole = abs(distance)
    unit, length = next(((u, n) for u, n in _UNITS if whole >= n), ("s", 1))
    amount = f"{round(whole / length)} {unit}"
    return f"in {amount}" if distance > 0 else f"{amount} ago"
