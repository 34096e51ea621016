"""Secrets without their values, and the seals of their versions."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from platform_api.db.schema.metadata import metadata, moment

secrets = Table(
    "secrets",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    # One of the two, as the scope says; who made a team's secret is in the audit trail.
    Column("owner_id", Uuid, ForeignKey("users.id")),
    Column("team_id", Uuid, ForeignKey("teams.id")),
    # The newest version whose value is stored; 0 until the first one is.
    Column("version", Integer, nullable=False, server_default=text("0")),
    # Only of values of at least 12 characters.
    Column("last_four", Text),
    moment("created_at", nullable=False, default_now=True),
    moment("updated_at", nullable=False, default_now=True),
    moment("deleted_at"),
    CheckConstraint(
        "(scope = 'own' AND owner_id IS NOT NULL AND team_id IS NULL) OR "
        "(scope = 'team' AND team_id IS NOT NULL AND owner_id IS NULL)",
        name="scope",
    ),
    Index(
        "uq_secrets_owner_id_name",
        "owner_id",
        func.lower(text("name")),
        unique=True,
        postgresql_where=text("deleted_at IS NULL AND scope = 'own'"),
    ),
    Index(
        "uq_secrets_team_id_name",
        "team_id",
        func.lower(text("name")),
        unique=True,
        postgresql_where=text("deleted_at IS NULL AND scope = 'team'"),
    ),
    Index("ix_secrets_name", func.lower(text("name"))),
)

secret_versions = Table(
    "secret_versions",
    metadata,
    Column("secret_id", Uuid, ForeignKey("secrets.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    moment("begun_at", nullable=False, default_now=True),
    # Null from the intent to the outcome: the value may or may not be in its store (D7).
    moment("stored_at"),
    # Since when no start gets it.
    moment("replaced_at"),
    # Of this version's value; shown once it is stored.
    Column("last_four", Text),
    # Who can open the seal, under which master key, and the seal itself.
    Column("holder", Text),
    Column("key_id", Text),
    Column("seal", JSONB),
    PrimaryKeyConstraint("secret_id", "version"),
    Index("ix_secret_versions_begun_at", "begun_at", postgresql_where=text("stored_at IS NULL")),
    Index("ix_secret_versions_replaced_at", "replaced_at", postgresql_where=text("replaced_at IS NOT NULL")),
    Index("ix_secret_versions_key_id", "holder", "key_id"),
)

# Which execution was given which version: written before the value leaves its store.
secret_uses = Table(
    "secret_uses",
    metadata,
    Column("execution_id", Uuid, ForeignKey("executions.id", ondelete="CASCADE"), nullable=False),
    Column("secret_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("execution_id", "secret_id", "version"),
    ForeignKeyConstraint(
        ["secret_id", "version"], ["secret_versions.secret_id", "secret_versions.version"], ondelete="CASCADE"
    ),
    Index("ix_secret_uses_secret_id_version", "secret_id", "version"),
)
