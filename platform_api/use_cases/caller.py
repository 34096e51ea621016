"""Who asks, and from where: handed to every use case that a person can start."""

from __future__ import annotations

from dataclasses import dataclass

from platform_api.domain.executions import TriggeredBy
from platform_api.use_cases.once import Once
from rbac.principal import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal with what the audit trail records about the request."""

    principal: Principal
    request_id: str
    ip_address: str | None = None
    user_agent: str | None = None
    #: MANUAL from the web UI, API from everything else.
    via: TriggeredBy = TriggeredBy.API
    #: Set where the request names an Idempotency-Key.
    once: Once | None = None
