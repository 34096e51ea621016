"""Answers kept for requests that are sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

#: How long a key stands for its first request.
KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door said to a request."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The request that took the key first; without an answer it was cut off before it had one."""

    request_hash: bytes
    answer: Answer | None


#: A request that has its key and no answer after so long was cut off.
UNANSWERED_FOR = timedelta(minutes=2)


class IdempotencyKeys(Protocol):
    """One row per person and key, in the transaction of the change that the request makes."""

    async def claim(self, user_id: UUID, key: str, request_hash: bytes) -> Earlier | None:
        """Take the key for this transaction (None), or say which request has it.

        A key that another open transaction is taking is waited for; raises ``Conflict`` when that takes too long.
        """
        ...

    async def release(self, user_id: UUID, key: str) -> None:
        """Give back a key whose request took no effect."""
        ...

    async def keep(self, user_id: UUID, key: str, request_hash: bytes, answer: Answer) -> None:
        """Store the answer to the request that holds the key."""
        ...
