"""What the audit trail must not repeat: values that open doors, and texts that are kept elsewhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_TELLING_NAME = re.compile(
    r"(^|_)pass($|_)|passw(or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|credential|authorization|cookie"
    r"|dsn|webhook|connection_?string|(^|_)pwd|(^|_)pat($|_)|(^|_)sas($|_)",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)

#: Longer texts are named by their digest; every version of a job keeps its own script.
LONGEST_TEXT = 1000


def redact(name: str, value: Any) -> Any:
    """``value`` as the audit trail may show it under ``name``."""
    if isinstance(value, Mapping):
        return {str(key): redact(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(name, item) for item in value]
    if value is not None and not isinstance(value, bool) and _TELLING_NAME.search(name):
        return REDACTED
    return _shown(value) if isinstance(value, str) else value


def _shown(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        digest = hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()
        return f"sha256:{digest} ({len(text)} characters)"
    return _PASSWORD_IN_URL.sub(rf"\g<scheme>{REDACTED}@", text)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``{"field": {"old": ..., "new": ...}}`` for every field that differs, redacted."""
    fields = [*old, *(name for name in new if name not in old)]
    return {
        name: {"old": redact(name, old.get(name)), "new": redact(name, new.get(name))}
        for name in fields
        if old.get(name) != new.get(name)
    }
