"""Times that come in with an address."""

from __future__ import annotations

from datetime import UTC, datetime


def read_moment(text: str) -> datetime:
    """ISO 8601; without a zone it is UTC. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
