"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

from typing import Any

#: A duration may be said in minutes or in seconds: naming one takes the place of the other.
TWINS = {
    "timeout_minutes": "timeout_seconds",
    "timeout_seconds": "timeout_minutes",
    "retry_delay_minutes": "retry_delay_seconds",
    "retry_delay_seconds": "retry_delay_minutes",
}

#: Objects whose keys are the user's own: their names mean nothing to us.
_USERS_OWN = frozenset({"env", "secrets", "metadata", "parameters"})


def merged(target: Any, patch: Any, *, free: bool = False) -> Any:
    """``target`` with ``patch`` merged in: null removes, objects are gone into, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if not free and name in TWINS and TWINS[name] not in patch:
            result.pop(TWINS[name], None)
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value, free=free or name in _USERS_OWN)
    return result
