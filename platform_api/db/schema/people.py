"""Teams, users, their keys and the answers kept for their repeated requests."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from platform_api.db.schema.metadata import metadata, moment

teams = Table(
    "teams",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    moment("created_at", nullable=False, default_now=True),
    # Grows with every change; a change that is meant for an older one is refused.
    Column("version", Integer, nullable=False, server_default=text("1")),
    # "DevOps" beside "devops" would be the same team to everybody who types it.
    Index("uq_teams_name_folded", func.lower(text("name")), unique=True),
)

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("team_id", Uuid, ForeignKey("teams.id"), nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    # Sample users exist in the embedded default only; production refuses to start with one.
    Column("is_sample", Boolean, nullable=False, server_default=text("false")),
    moment("created_at", nullable=False, default_now=True),
    Column("version", Integer, nullable=False, server_default=text("1")),
    # What the person may do besides their role (rbac.principal.PermissionSet).
    Column("permission_sets", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # The row of an erased person stays, because history refers to it; it says nothing about them any more.
    moment("erased_at"),
    Index("uq_users_email", func.lower(text("email")), unique=True),
)

# Further teams whose jobs a person may look at.
team_views = Table(
    "team_views",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("team_id", Uuid, ForeignKey("teams.id"), nullable=False, index=True),
    PrimaryKeyConstraint("user_id", "team_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    moment("expires_at"),
    moment("last_used_at"),
    moment("revoked_at"),
    # The key that came in its place when it was rotated.
    Column("replaced_by", Uuid, ForeignKey("api_keys.id")),
    moment("created_at", nullable=False, default_now=True),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    # Null while the first request is still under way.
    Column("status_code", Integer),
    Column("headers", JSONB),
    Column("body", LargeBinary),
    moment("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("user_id", "key"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)
