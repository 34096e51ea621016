"""From when until when: the two fields that several lists are filtered by."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from platform_api.domain.errors import InvalidContent

_LOST_PLUS = re.compile(r"(T\S+) (\d\d:?\d\d)$")


def moment_of(field: str, given: str) -> datetime | None:
    """What ``<input type="datetime-local">`` sent, in UTC; None for nothing, ``InvalidContent`` for anything else."""
    if not given.strip():
        return None
    try:
        # A plus sign in an address that was typed by hand has become a space.
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", given.strip()))
    except ValueError as error:
        raise InvalidContent.of(field, "must be a date and time, as in 2026-01-31T09:00") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
