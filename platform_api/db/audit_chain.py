"""The proof of the audit trail in SQL.

The database judges its own rows here, but by nothing that is stored in it: the statement below spells out what a link
is made of, with built-in functions only, so that a function that somebody replaced changes no verdict.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_api.db.schema import audit_chain, audit_head, audit_log, audit_seals
from platform_api.ports.audit_chain import GENESIS, Broken, Head, Seal, Stretch

#: Links per statement: far below the statement timeout, and no memory worth mentioning.
STRETCH = 20_000
#: Removing a month of a busy installation takes longer than a request may.
REMOVAL_TIMEOUT = "10min"
LEAST_DAYS = 30

_FIRST_BREAK = r"""
WITH links AS (
  SELECT c.*, e.id AS found,
    lag(c.seq, 1, CAST(:seq AS bigint)) OVER (ORDER BY c.seq) AS seq_before,
    lag(c.hash, 1, CAST(:hash AS bytea)) OVER (ORDER BY c.seq) AS hash_before,
    CASE WHEN e.actor_salt IS NULL THEN num_nonnulls(e.actor_email, e.ip_address, e.user_agent) = 0
      ELSE c.actor_digest = sha256(e.actor_salt
        || convert_to(jsonb_build_array(e.actor_email, e.ip_address\:\:text, e.user_agent)\:\:text, 'UTF8')) END
      AS actor_holds,
    CASE WHEN e.name_salt IS NULL THEN e.resource_name IS NULL
      ELSE c.name_digest = sha256(e.name_salt || convert_to(jsonb_build_array(e.resource_name)\:\:text, 'UTF8')) END
      AS name_holds,
    CASE WHEN e.details_salt IS NULL THEN e.reason IS NULL AND e.changes = '{}'
      ELSE c.details_digest = sha256(e.details_salt
        || convert_to(jsonb_build_array(e.reason, e.changes)\:\:text, 'UTF8')) END AS details_hold,
    c.actor_digest || c.name_digest || c.details_digest || convert_to(jsonb_build_array(1, c.seq, e.id,
      to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24\:MI\:SS.US'), e.actor_id, e.action, e.outcome,
      e.resource_type, e.resource_id, e.request_id)\:\:text, 'UTF8') AS content
  FROM (SELECT * FROM audit_chain WHERE seq > :seq ORDER BY seq LIMIT :size) c
    LEFT JOIN audit_log e ON e.id = c.entry_id
), judged AS (
  SELECT seq, entry_id, hash, CASE
    WHEN seq <> seq_before + 1 THEN 'links before it are missing'
    WHEN found IS NULL THEN 'the entry was deleted'
    WHEN NOT (actor_holds AND name_holds AND details_hold) THEN 'the entry was changed'
    WHEN hash <> sha256(hash_before || content) THEN 'the entry or its place was changed'
  END AS fault FROM links
)
SELECT * FROM (SELECT seq, entry_id, hash, fault FROM judged WHERE fault IS NOT NULL ORDER BY seq LIMIT 1) broken
UNION ALL
SELECT * FROM (SELECT seq, entry_id, hash, fault FROM judged ORDER BY seq DESC LIMIT 1) last
"""

_SEALS = r"""
SELECT last_id FROM (
  SELECT *, first_seq = lag(last_seq, 1, 0\:\:bigint) OVER w + 1 AND entries = last_seq - first_seq + 1
    AND hash = sha256(lag(hash, 1, CAST(:genesis AS bytea)) OVER w || last_hash || convert_to(
      jsonb_build_array(1, month\:\:text, first_seq, last_seq, first_id, last_id, entries)\:\:text, 'UTF8')) AS holds
  FROM audit_seals WINDOW w AS (ORDER BY last_seq)
) judged WHERE NOT holds ORDER BY last_seq LIMIT 1
"""


class SqlAuditChain:
    """``ports.audit_chain.AuditChain`` over one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def hold_still(self) -> None:
        """Let this transaction see one state of the trail, whatever commits or is removed meanwhile."""
        await self._connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))

    async def head(self) -> Head | None:
        """The newest link as the head's row tells it."""
        row = (await self._connection.execute(select(audit_head))).one_or_none()
        return Head(row.seq, bytes(row.hash), row.entry_id) if row else None

    async def hash_at(self, seq: int) -> bytes | None:
        """The hash of that link, kept or sealed."""
        if seq == 0:
            return GENESIS
        kept = select(audit_chain.c.hash).where(audit_chain.c.seq == seq)
        sealed = select(audit_seals.c.last_hash).where(audit_seals.c.last_seq == seq)
        found = (await self._connection.execute(kept.union_all(sealed))).scalars().first()
        return bytes(found) if found is not None else None

    async def broken_seal(self) -> Broken | None:
        """The first seal that does not continue the one before it."""
        row = (await self._connection.execute(text(_SEALS), {"genesis": GENESIS})).one_or_none()
        return Broken(row.last_id, "the seal of its month was changed or removed") if row else None

    async def last_seal(self) -> Seal | None:
        """The newest seal."""
        query = select(audit_seals).order_by(audit_seals.c.last_seq.desc()).limit(1)
        row = (await self._connection.execute(query)).one_or_none()
        return _seal(row) if row else None

    async def stretches(self, after: Head) -> AsyncIterator[Stretch]:
        """The links behind ``after``, judged in the database, a statement per stretch."""
        while True:
            values = {"seq": after.seq, "hash": after.hash, "size": STRETCH}
            rows = (await self._connection.execute(text(_FIRST_BREAK), values)).all()
            if not rows:
                return
            first = rows[0]
            if first.fault is not None:
                yield Stretch(max(first.seq - after.seq - 1, 0), None, Broken(first.entry_id, first.fault))
                return
            yield Stretch(first.seq - after.seq, Head(first.seq, bytes(first.hash), first.entry_id), None)
            after = Head(first.seq, bytes(first.hash))

    async def first_unlinked(self) -> int | None:
        """The id of the first entry without a link."""
        link = select(1).where(audit_chain.c.entry_id == audit_log.c.id)
        query = select(func.min(audit_log.c.id)).where(~link.exists())
        found: int | None = (await self._connection.execute(query)).scalar_one()
        return found

    async def has_past_month(self, keep_days: int) -> bool:
        """Whether ``remove_month`` would remove something; costs one row."""
        query = (
            select(audit_log.c.at)
            .join_from(audit_chain, audit_log, audit_chain.c.entry_id == audit_log.c.id)
            .order_by(audit_chain.c.seq)
            .limit(1)
        )
        oldest: datetime | None = (await self._connection.execute(query)).scalar_one_or_none()
        now: datetime = (await self._connection.execute(select(func.now()))).scalar_one()
        return oldest is not None and _end_of_month(oldest) <= now - timedelta(days=max(keep_days, LEAST_DAYS))

    async def remove_month(self, keep_days: int) -> Seal | None:
        """Seal and remove the oldest month; the database's own function does it and holds to its own limits."""
        await self._connection.execute(text(f"SET LOCAL statement_timeout = '{REMOVAL_TIMEOUT}'"))
        statement = text("SELECT * FROM audit_remove_month(:days)")
        row = (await self._connection.execute(statement, {"days": keep_days})).one_or_none()
        return _seal(row) if row else None


def _end_of_month(moment: datetime) -> datetime:
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _seal(row: Row[tuple[object, ...]]) -> Seal:
    return Seal(
        month=row.month,
        first_seq=row.first_seq,
        last_seq=row.last_seq,
        first_id=row.first_id,
        last_id=row.last_id,
        entries=row.entries,
        last_hash=bytes(row.last_hash),
        hash=bytes(row.hash),
    )
