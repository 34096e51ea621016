"""How every answer writes a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi.encoders import jsonable_encoder


def moment(value: datetime | None) -> str | None:
    """The time in UTC, in ISO 8601 with a Z."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value is not None else None


def as_json(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its ids, times and enumerations as every answer writes them."""
    return dict(jsonable_encoder(document, custom_encoder={datetime: moment}))
