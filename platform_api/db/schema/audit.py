"""The trail, and the chain that proves it: what the database itself does with them is in migration 0005."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB

from platform_api.db.schema.metadata import metadata, moment


def _salt(name: str) -> Column[bytes]:
    """Random bytes without which a digest tells nothing; deleted with what they salt (decision 0017)."""
    return Column(name, LargeBinary, server_default=func.uuid_send(func.gen_random_uuid()))


def _digest(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    moment("at", nullable=False, default_now=True),
    Column("actor_id", Uuid),
    Column("actor_email", Text),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Text),
    Column("resource_name", Text),
    # {"field": {"old": ..., "new": ...}}, secrets redacted.
    Column("changes", JSONB, nullable=False, server_default=text("'{}'")),
    Column("ip_address", INET),
    Column("user_agent", Text),
    Column("request_id", Text),
    # For actor_email, ip_address and user_agent; for resource_name; for reason and changes.
    _salt("actor_salt"),
    _salt("name_salt"),
    _salt("details_salt"),
    CheckConstraint("outcome IN ('allowed', 'denied', 'failed')", name="outcome"),
    Index("ix_audit_log_at", "at", "id"),
    Index("ix_audit_log_actor_id", "actor_id", "at"),
    Index("ix_audit_log_resource_id", "resource_id", "at"),
)

#: One link per entry, added by the database when the entry's transaction commits; ``seq`` has no gaps.
audit_chain = Table(
    "audit_chain",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigInteger, nullable=False, unique=True),
    _digest("actor_digest"),
    _digest("name_digest"),
    _digest("details_digest"),
    _digest("hash"),
)

#: The newest link, in the one row that committing transactions take turns at.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("entry_id", BigInteger),
    _digest("hash"),
    CheckConstraint("id = 1", name="one_row"),
)

#: What stands for a month whose entries were removed.
audit_seals = Table(
    "audit_seals",
    metadata,
    Column("month", Date, primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False, unique=True),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    # The hash of the last removed link, which the first kept one continues.
    _digest("last_hash"),
    # Over this row and the seal before it.
    _digest("hash"),
    moment("removed_at", nullable=False, default_now=True),
)
