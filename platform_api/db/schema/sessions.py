"""Sign-in: who a provider's subject is, sign-ins under way, and the sessions of the web UI."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, PrimaryKeyConstraint, Table, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from platform_api.db.schema.metadata import metadata, moment

#: An e-mail address may pass to another person; issuer and subject never do.
identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    # When the token was issued that role and team were last taken from: an older one changes nothing.
    moment("claims_at", nullable=False),
    moment("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("issuer", "subject"),
    UniqueConstraint("user_id", "issuer"),
)

#: From the way to the provider until the way back; taken once.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("flow", JSONB, nullable=False),
    Column("next", Text, nullable=False),
    moment("expires_at", nullable=False, index=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    moment("created_at", nullable=False),
    moment("expires_at", nullable=False, index=True),
)
