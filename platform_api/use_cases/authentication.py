"""Who sends a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import Entry, Subject
from platform_api.domain.errors import NotAuthenticated
from platform_api.identity.api_keys import SHOWN, hash_key
from platform_api.ports.people import KeyHolder
from platform_api.use_cases.services import Services
from rbac.principal import Principal

#: A key's last use is known to the minute: writing it with every request would cost more than it tells.
USE_IS_NOTED_EVERY = timedelta(minutes=1)

_UNKNOWN = "This API key is not known."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, before it is known whose it is."""

    request_id: str
    ip_address: str | None
    user_agent: str | None


async def identify(services: Services, plaintext: str, origin: Origin) -> Principal:
    """The principal that an API key stands for; raises ``NotAuthenticated``."""
    holder = await _holder(services, plaintext)
    refusal = holder.refusal(services.clock.now()) if holder else _UNKNOWN
    if holder is not None and refusal is None:
        return holder.principal
    await record_failure(services, origin, refusal or _UNKNOWN, plaintext[:SHOWN], holder)
    raise NotAuthenticated(refusal or _UNKNOWN)


async def record_failure(
    services: Services, origin: Origin, reason: str, prefix: str, holder: KeyHolder | None = None
) -> None:
    """Keep that somebody was turned away, with no more of the key than may be shown."""
    entry = Entry(
        action=Action.AUTHENTICATION_FAILED,
        subject=Subject("api_key", str(holder.key_id) if holder else None, prefix if holder else None),
        outcome=Outcome.DENIED,
        reason=reason,
        actor_id=holder.principal.user_id if holder else None,
        actor_email=holder.principal.email if holder else None,
        ip_address=origin.ip_address,
        user_agent=origin.user_agent,
        request_id=origin.request_id,
    )
    async with services.uow() as uow:
        await uow.audit.record(entry)


async def _holder(services: Services, plaintext: str) -> KeyHolder | None:
    pepper = services.settings.api_key_pepper
    if pepper is None:
        return None
    # Whatever it looks like, it is hashed and looked up, so that how long a refusal takes says nothing about it.
    # The hash is keyed: that an index compares it byte by byte tells nobody anything about the key.
    now = services.clock.now()
    async with services.uow() as uow:
        holder = await uow.people.by_key_hash(hash_key(plaintext, pepper.get_secret_value()))
        if holder is None or holder.refusal(now) is not None:
            return holder
        if holder.last_used_at is None or holder.last_used_at < now - USE_IS_NOTED_EVERY:
            services.key_uses.note(holder.key_id, now)
    return holder
