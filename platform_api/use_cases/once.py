"""A request that is sent again changes nothing again.

The key is taken in the transaction that makes the change, and the answer is stored in that same transaction: a
process that is killed before the commit leaves neither, one that is killed after it leaves both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from platform_api.domain.errors import Conflict
from platform_api.ports.idempotency import Answer
from platform_api.ports.unit_of_work import UnitOfWork
from rbac.principal import Principal


class AnsweredBefore(Exception):
    """The request is a repeat; this was the answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__("This request was answered before.")


@dataclass(slots=True)
class Once:
    """The key under which a request may take effect once, and how its result becomes an answer."""

    key: str
    request_hash: bytes
    render: Callable[[Any], Answer]
    claimed: bool = False

    async def claim(self, uow: UnitOfWork, principal: Principal) -> None:
        """Take the key, or raise ``AnsweredBefore`` or ``Conflict``."""
        if self.claimed:
            return
        earlier = await uow.idempotency.claim(principal.user_id, self.key, self.request_hash)
        if earlier is None:
            self.claimed = True
            return
        if earlier.request_hash != self.request_hash:
            raise Conflict("This Idempotency-Key was used for another request within the last 24 hours.")
        if earlier.answer is None:
            raise Conflict("The first request with this Idempotency-Key is still under way; try again.")
        raise AnsweredBefore(earlier.answer)

    async def release(self, uow: UnitOfWork, principal: Principal) -> None:
        """Give the key back: the request took no effect, and the same one may try again."""
        await uow.idempotency.release(principal.user_id, self.key)

    async def keep(self, uow: UnitOfWork, principal: Principal, result: Any) -> None:
        """Store the answer that ``result`` becomes."""
        await uow.idempotency.keep(principal.user_id, self.key, self.request_hash, self.render(result))
