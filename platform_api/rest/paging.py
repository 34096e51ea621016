"""Lists come in pages: ``?limit=`` and ``?cursor=`` in, ``{"items": [...], "next_cursor": ...}`` out."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from platform_api.domain.errors import InvalidContent

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200

Item = TypeVar("Item")


class PageQuery(BaseModel):
    """Which page is wanted. Extend it with a list's filters: parameters it does not know are refused."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=LARGEST_LIMIT, description="Items in the page.")] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Field(max_length=2000, description="`next_cursor` of the page before.")] = None


PageDependency = Annotated[PageQuery, Query()]


def encode_cursor(*parts: str | int | float | None) -> str:
    """A place in a list as an opaque text: the sort key and the id of the last item seen."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, size: int) -> list[Any] | None:
    """What ``encode_cursor`` got, or None for the first page; ``InvalidContent`` for anything else."""
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or len(parts) != size:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page")
    return parts


def decode_name_cursor(cursor: str | None) -> tuple[str, UUID] | None:
    """The place in a list that is sorted by a name and an id; ``InvalidContent`` for anything else."""
    parts = decode_cursor(cursor, 2)
    if parts is None:
        return None
    name, number = parts
    try:
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError
        return name, UUID(number)
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page") from error


def page_of(
    found: Sequence[Item], limit: int, render: Callable[[Item], Any], place: Callable[[Item], str]
) -> dict[str, Any]:
    """The page for ``found``, which was asked for with ``limit + 1`` so that a further page shows."""
    shown = found[:limit]
    more = len(found) > limit
    return {"items": [render(item) for item in shown], "next_cursor": place(shown[-1]) if more else None}
