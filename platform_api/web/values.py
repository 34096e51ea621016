"""Stored values as people read them: no brackets where words do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_empty(value: Any) -> bool:
    """Whether there is nothing to read."""
    return value is None or value in ("", [], {}, ())


def in_words(value: Any) -> str | None:
    """The value in one text; None for nothing."""
    if is_empty(value):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        told = [(str(name), in_words(item)) for name, item in value.items()]
        return ", ".join(f"{name}: {words}" for name, words in told if words is not None) or None
    if isinstance(value, list | tuple):
        return ", ".join(in_words(item) or "empty" for item in value)
    return str(value)
