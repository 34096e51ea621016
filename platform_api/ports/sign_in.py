"""Sign-ins that are under way: the browser is at the provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class SignInUnderWay:
    """What must be known when the browser comes back."""

    flow: Mapping[str, Any]
    next: str


class SignIns(Protocol):
    """One row per browser on its way, found by the hash of its cookie's value."""

    async def add(self, token_hash: bytes, sign_in: SignInUnderWay, expires_at: datetime) -> None:
        """Remember a departure."""
        ...

    async def take(self, token_hash: bytes, now: datetime) -> SignInUnderWay | None:
        """Take it out: whoever asks again, or too late, gets None."""
        ...

    async def remove_expired(self, now: datetime) -> None:
        """Forget those who never came back."""
        ...
