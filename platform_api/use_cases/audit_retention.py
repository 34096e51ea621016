"""Entries that are past their time go, a whole month at once, and a seal stays in their place."""

from __future__ import annotations

import asyncio
import logging

from platform_api.audit.actions import Action
from platform_api.audit.entries import Entry, Subject
from platform_api.audit.redaction import changes
from platform_api.ports.audit_chain import Seal
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.audit_chain import examine
from platform_api.use_cases.services import Services
from platform_api.use_cases.settings_trail import record_settings

#: Whether a month is due costs one row; most rounds end there.
ROUND_SECONDS = 3600.0

logger = logging.getLogger(__name__)


async def retain_forever(services: Services) -> None:
    """Do what is due, and note the head of the chain in the log, for as long as the process lives.

    First of all, and once, the settings that it lives by.
    """
    noted = False
    while True:
        try:
            if not noted:
                await record_settings(services)
                noted = True
            await remove_past_months(services)
            await _note_head(services)
        except Exception:
            # Whatever a round met (the database restarting, another process removing the same month), the next one
            # must come: without this loop the trail would grow for ever.
            logger.exception("a round of the audit trail's retention failed")
        await asyncio.sleep(ROUND_SECONDS)


async def remove_past_months(services: Services) -> list[Seal]:
    """Remove every month that ended more than the retention ago; a trail that does not hold is left as it is.

    May be repeated and run by several processes: each month goes once.
    """
    days = services.settings.retention_days
    async with services.uow() as uow:
        if not await uow.audit_chain.has_past_month(days):
            return []
    async with services.uow() as uow:
        verdict = await examine(uow.audit_chain)
    if not verdict.valid:
        logger.error("the audit trail does not hold (%s); nothing of it is removed", verdict.first_invalid)
        return []
    seals: list[Seal] = []
    while seal := await _remove_month(services, days):
        seals.append(seal)
    return seals


async def _remove_month(services: Services, days: int) -> Seal | None:
    async with services.uow() as uow:
        seal = await uow.audit_chain.remove_month(days)
        if seal is not None:
            await _record(uow, seal)
    return seal


async def _record(uow: UnitOfWork, seal: Seal) -> None:
    """The removal is an entry too, so the chain that goes on vouches for the seal."""
    figures = {
        "entries": seal.entries,
        "first_id": seal.first_id,
        "last_id": seal.last_id,
        "last_hash": seal.last_hash.hex(),
        "seal": seal.hash.hex(),
    }
    entry = Entry(
        action=Action.AUDIT_SEALED,
        subject=Subject("audit_log", None, f"{seal.month:%Y-%m}"),
        reason="The month is older than the retention.",
        changes=changes({}, figures),
    )
    await uow.audit.record(entry)


async def _note_head(services: Services) -> None:
    async with services.uow() as uow:
        logger.info("head of the audit trail: %s", await uow.audit_chain.head())
