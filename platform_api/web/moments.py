"""Times that come in with an address."""

from __future__ import annotations

from datetime import UTC, datetime


def read_moment(text: str) -> datetime:
    """ISO 8601; without a zone it is UTC. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def day_of(text: str) -> datetime | None:
    """The beginning of a day as ``<input type=date>`` writes it; None for what is none."""
    try:
        return read_moment(text) if text else None
    except ValueError:
        return None
