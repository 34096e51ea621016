"""Does the audit trail still hold?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from platform_api.audit.entries import Subject
from platform_api.ports.audit_chain import GENESIS, AuditChain, Broken, Head
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, require
from platform_api.use_cases.services import Services
from rbac.permissions import Permission


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of looking at every entry in order."""

    checked: int
    first_invalid: Broken | None
    #: To be kept outside the database; a later check can be held against it.
    head: Head | None

    @property
    def valid(self) -> bool:
        """Whether everything holds."""
        return self.first_invalid is None

    def document(self) -> dict[str, Any]:
        """As every door answers it."""
        broken = self.first_invalid
        return {
            "valid": self.valid,
            "checked": self.checked,
            "first_invalid": {"id": broken.entry_id, "reason": broken.reason} if broken else None,
            "head": str(self.head) if self.head else None,
        }


async def verify(services: Services, caller: Caller) -> Verdict:
    """Look at the whole chain, for an administrator."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.AUDIT_VERIFY, Subject("audit_log"))
        return await examine(uow.audit_chain)


async def examine(chain: AuditChain, expected: Head | None = None) -> Verdict:
    """Look at one state of the chain, in this order, until something does not hold:

    1. the seals of removed months continue each other;
    2. every link continues the one before it and fits its entry;
    3. the last link is the one that the head's row names: nothing was cut off;
    4. no entry is without a link: nothing was slipped in;
    5. the link that was ``expected``, as it was noted elsewhere earlier, is there: the chain was not made anew.
    """
    await chain.hold_still()
    head = await chain.head()
    checked, broken = 0, await chain.broken_seal()
    if broken is None:
        checked, broken = await _links(chain, head)
    unlinked = await chain.first_unlinked()
    if unlinked is not None and (broken is None or broken.entry_id is None or unlinked < broken.entry_id):
        broken = Broken(unlinked, "the entry was slipped in: it has no link")
    if broken is None and expected is not None and await chain.hash_at(expected.seq) != expected.hash:
        broken = Broken(None, f"link {expected.seq} is not the one that was expected: the chain was made anew")
    return Verdict(checked, broken, head)


async def _links(chain: AuditChain, head: Head | None) -> tuple[int, Broken | None]:
    checked = 0
    seal = await chain.last_seal()
    last = Head(seal.last_seq, seal.last_hash, seal.last_id) if seal else Head(0, GENESIS)
    async for stretch in chain.stretches(last):
        checked += stretch.checked
        if stretch.broken is not None:
            return checked, stretch.broken
        last = stretch.last or last
    if head is None:
        return checked, Broken(last.entry_id, "the head of the chain is gone")
    if (head.seq, head.hash) != (last.seq, last.hash):
        return checked, Broken(head.entry_id, "the end of the chain is not the one that its head names")
    return checked, None
