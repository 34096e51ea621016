"""The proof of the audit trail: links, seals and the head."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

#: What the first link and the first seal continue.
GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Head:
    """A link of the chain: kept elsewhere, it proves everything up to it."""

    seq: int
    hash: bytes
    entry_id: int | None = None

    def __str__(self) -> str:
        """As people keep it: ``12345:9f86d081...``."""
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def parse(cls, kept: str) -> Head:
        """What ``str`` wrote; raises ``ValueError`` for anything else."""
        seq, _, digits = kept.partition(":")
        head = cls(int(seq), bytes.fromhex(digits))
        if head.seq < 0 or len(head.hash) != len(GENESIS):
            raise ValueError("a head is a number, a colon and 64 hexadecimal digits")
        return head


@dataclass(frozen=True, slots=True)
class Seal:
    """What stands for a month whose entries were removed."""

    month: date
    first_seq: int
    last_seq: int
    first_id: int
    last_id: int
    entries: int
    last_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where the chain does not hold: the entry, as far as it can be told, and what is wrong."""

    entry_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the chain that was looked at; ``last`` is its last sound link, or None when there was none."""

    checked: int
    last: Head | None
    broken: Broken | None


class AuditChain(Protocol):
    """Reading the chain as it stood when the transaction began, and removing what is past its time."""

    async def hold_still(self) -> None:
        """Let this transaction see one state of the trail; to be called before anything else in it."""
        ...

    async def head(self) -> Head | None:
        """The newest link as the head's row tells it; None if that row is gone."""
        ...

    async def hash_at(self, seq: int) -> bytes | None:
        """The hash of that link, kept or sealed as the last of a month."""
        ...

    async def broken_seal(self) -> Broken | None:
        """The first seal that does not hold, or None."""
        ...

    async def last_seal(self) -> Seal | None:
        """The newest seal."""
        ...

    def stretches(self, after: Head) -> AsyncIterator[Stretch]:
        """Look at the links behind ``after`` in order, piece by piece, until the end or the first that is broken."""
        ...

    async def first_unlinked(self) -> int | None:
        """The id of the first entry without a link: one that was slipped in."""
        ...

    async def has_past_month(self, keep_days: int) -> bool:
        """Whether the oldest entry's month ended so long ago that it may go."""
        ...

    async def remove_month(self, keep_days: int) -> Seal | None:
        """Seal and remove the oldest month if it ended ``keep_days`` ago or earlier (and never less than 30)."""
        ...
