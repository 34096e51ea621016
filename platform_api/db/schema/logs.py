"""What scripts wrote: chunks while they run, the archive after."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from platform_api.db.schema.metadata import metadata, moment

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("execution_id", Uuid, ForeignKey("executions.id"), nullable=False),
    Column("first_line", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("line_count", Integer, nullable=False),
    # Bytes of the scripts' before and in this chunk. Lines and bytes between two chunks were not kept.
    Column("first_byte", BigInteger, nullable=False),
    Column("byte_count", Integer, nullable=False),
    Column("frames", LargeBinary, nullable=False),
    Column("resume", JSONB, nullable=False),
    moment("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("execution_id", "first_line"),
)

log_archives = Table(
    "log_archives",
    metadata,
    Column("execution_id", Uuid, ForeignKey("executions.id"), primary_key=True),
    # Relative to the archive's root, so that the archive can be moved.
    Column("location", Text, nullable=False),
    Column("line_count", BigInteger, nullable=False),
    Column("byte_count", BigInteger, nullable=False),
    # [[byte offset, byte length, first line, line count, attempt, first byte, byte count], ...] of each compressed
    # member; the last two are bytes of the scripts'.
    Column("members", JSONB, nullable=False),
    moment("created_at", nullable=False, default_now=True),
)
