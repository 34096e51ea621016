"""One transaction over the platform's database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from platform_api.ports.audit import AuditTrail
from platform_api.ports.claims import Claims
from platform_api.ports.ends import Ends
from platform_api.ports.idempotency import IdempotencyKeys
from platform_api.ports.leases import Leases
from platform_api.ports.people import People
from platform_api.ports.reports import Reports
from platform_api.ports.signals import Channel
from platform_api.ports.starts import Starts


class UnitOfWork(Protocol):
    """The stores of one transaction, one per feature; each is a protocol in the feature's own file here."""

    audit: AuditTrail
    idempotency: IdempotencyKeys
    people: People
    claims: Claims
    ends: Ends
    leases: Leases
    reports: Reports
    starts: Starts

    async def notify(self, channel: Channel, payload: str) -> None:
        """Wake the channel's listeners when (and only if) the transaction commits."""
        ...

    async def notify_all(self, channel: Channel, payloads: Iterable[str]) -> None:
        """The same for many payloads in one statement."""
        ...
