"""The trail."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import INET, JSONB

from platform_api.db.schema.metadata import metadata, moment

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
    CheckConstraint("outcome IN ('allowed', 'denied', 'failed')", name="outcome"),
    Index("ix_audit_log_at", "at", "id"),
    Index("ix_audit_log_actor_id", "actor_id", "at"),
    Index("ix_audit_log_resource_id", "resource_id", "at"),
)
