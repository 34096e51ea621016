"""Whole months leave the trail, and what stays proves that nothing else did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from migrations.grants import APPLICATION_ROLE
from platform_api.db.unit_of_work import units_of_work
from platform_api.use_cases.audit_chain import Verdict, examine
from platform_api.use_cases.audit_retention import remove_past_months
from tests.cast import Cast

NOW = datetime.now(UTC)
THIS_MONTH = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def months_ago(count: int) -> datetime:
    """The first moment of that month."""
    year, month = divmod(THIS_MONTH.year * 12 + THIS_MONTH.month - 1 - count, 12)
    return THIS_MONTH.replace(year=year, month=month + 1)


async def write(cast: Cast, at: datetime, count: int = 3) -> None:
    """Entries of that time, as their transactions would have left them."""
    statement = "INSERT INTO audit_log (at, action, outcome, resource_type) VALUES (:at, 'job.run', 'allowed', 'job')"
    async with cast.engine.begin() as connection:
        await connection.execute(text(statement), [{"at": at + timedelta(minutes=n)} for n in range(count)])


async def begin_anew(cast: Cast) -> None:
    """Without the entries about the cast, which are of today."""
    async with cast.engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("DELETE FROM audit_log"))
        await connection.execute(text("DELETE FROM audit_chain"))
        await connection.execute(text("UPDATE audit_head SET seq = 0, hash = decode(repeat('00', 32), 'hex')"))


async def verdict(cast: Cast) -> Verdict:
    async with units_of_work(cast.engine)() as uow:
        return await examine(uow.audit_chain)


async def remaining(cast: Cast, action: str = "job.run") -> int:
    async with cast.engine.connect() as connection:
        query = text("SELECT count(*) FROM audit_log WHERE action = :action")
        return int((await connection.execute(query, {"action": action})).scalar_one())


async def test_months_past_the_retention_go_and_the_chain_still_proves_the_rest(cast: Cast) -> None:
    await begin_anew(cast)
    for ago in (7, 6, 4, 1):
        await write(cast, months_ago(ago))
    seals = await remove_past_months(cast.services)
    assert [(seal.month, seal.entries) for seal in seals] == [
        (months_ago(7).date(), 3),
        (months_ago(6).date(), 3),
        (months_ago(4).date(), 3),
    ]
    found = await verdict(cast)
    assert (found.valid, found.checked) == (True, 3 + 3)
    assert (await remaining(cast), await remaining(cast, "audit.sealed")) == (3, 3)
    assert await remove_past_months(cast.services) == []
    assert await remaining(cast, "audit.sealed") == 3


async def test_a_month_that_ended_within_the_retention_stays_whole(cast: Cast) -> None:
    await begin_anew(cast)
    await write(cast, months_ago(2))
    assert await remove_past_months(cast.services) == []
    assert await remaining(cast) == 3


async def test_an_entry_that_was_committed_late_goes_with_the_next_month(cast: Cast) -> None:
    """A transaction of the old month that commits behind one of the new month is linked behind it."""
    await begin_anew(cast)
    await write(cast, months_ago(7))
    await write(cast, months_ago(6), 1)
    await write(cast, months_ago(7) + timedelta(days=27), 1)
    await write(cast, months_ago(1), 1)
    seals = await remove_past_months(cast.services)
    assert [seal.entries for seal in seals] == [3, 2]
    assert (await verdict(cast)).valid


async def test_the_last_entries_of_all_can_be_past_their_time(cast: Cast) -> None:
    await begin_anew(cast)
    await write(cast, months_ago(7))
    assert len(await remove_past_months(cast.services)) == 1
    found = await verdict(cast)
    assert (found.valid, found.checked) == (True, 1)


async def test_a_trail_that_does_not_hold_is_evidence_and_stays(cast: Cast) -> None:
    await begin_anew(cast)
    await write(cast, months_ago(7))
    async with cast.engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(
            text("UPDATE audit_log SET action = 'job.deleted' WHERE id = (SELECT min(id) FROM audit_log)")
        )
    assert await remove_past_months(cast.services) == []
    assert await remaining(cast) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_seals SET entries = entries - 1",
        "UPDATE audit_seals SET last_hash = sha256('x')",
        "UPDATE audit_seals SET first_id = first_id + 1",
        "UPDATE audit_seals SET hash = sha256('x')",
        "UPDATE audit_seals SET month = month - 1",
        "DELETE FROM audit_seals WHERE last_seq = (SELECT min(last_seq) FROM audit_seals)",
        "DELETE FROM audit_seals WHERE last_seq = (SELECT max(last_seq) FROM audit_seals)",
        "DELETE FROM audit_seals",
    ],
)
async def test_a_seal_that_is_changed_or_removed_is_found(cast: Cast, change: str) -> None:
    await begin_anew(cast)
    for ago in (7, 6):
        await write(cast, months_ago(ago))
    await remove_past_months(cast.services)
    async with cast.engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text(change))
    assert not (await verdict(cast)).valid


async def test_whoever_took_over_the_api_cannot_remove_what_they_just_did(cast: Cast) -> None:
    await begin_anew(cast)
    await write(cast, NOW - timedelta(minutes=10))
    async with cast.engine.connect() as connection:
        await connection.execute(text(f"SET ROLE {APPLICATION_ROLE}"))
        for days in (0, -400):
            assert (await connection.execute(text(f"SELECT audit_remove_month({days})"))).all() == []
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text("DELETE FROM audit_log"))
        await connection.rollback()
    assert await remaining(cast) == 3
