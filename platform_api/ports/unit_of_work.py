"""One transaction over the platform's database."""

from __future__ import annotations

from typing import Protocol

from platform_api.ports.signals import Channel


class UnitOfWork(Protocol):
    """The stores of one transaction, one per feature; each is a protocol in the feature's own file here."""

    async def notify(self, channel: Channel, payload: str) -> None:
        """Wake the channel's listeners when (and only if) the transaction commits."""
        ...
