"""Settings are changed where no door sees it, so a process that starts says which ones are others than before."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from platform_api.audit.actions import Action
from platform_api.audit.entries import Entry, Subject
from platform_api.audit.redaction import redact
from platform_api.ports.audit import AuditFilter
from platform_api.settings import Settings
from platform_api.use_cases.services import Services


async def record_settings(services: Services) -> bool:
    """Add an entry unless the last one says the same; whether one was added.

    An entry holds every setting that is or was no default, so the next start has to read one entry only. Of a secret
    it says that it is set, never what it is.
    """
    now = in_force(services.settings)
    async with services.uow() as uow:
        last = await uow.audit.page(AuditFilter(action=Action.SETTINGS_CHANGED.value), None, 1)
        before = {name: change["new"] for name, change in (last[0].entry.changes if last else {}).items()}
        before = {name: value for name, value in before.items() if value is not None}
        if last and before == now:
            return False
        names = sorted(before.keys() | now.keys())
        changes = {name: {"old": before.get(name), "new": now.get(name)} for name in names}
        await uow.audit.record(Entry(Action.SETTINGS_CHANGED, Subject("settings"), changes=changes))
    return True


def in_force(settings: Settings) -> dict[str, Any]:
    """Every setting that is no default, as the trail may show it."""
    given = {name: getattr(settings, name) for name in type(settings).model_fields}
    defaults = {name: field.default for name, field in type(settings).model_fields.items()}
    return {name: _shown(name, value) for name, value in given.items() if value != defaults[name] and value is not None}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "set"
    return redact(name, value if isinstance(value, bool | int | float) else str(value))
