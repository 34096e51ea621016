"""Jobs, their versions and what is next of each."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from platform_api.db.schema.metadata import metadata, moment

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("team_id", Uuid, ForeignKey("teams.id"), nullable=False),
    Column("owner_id", Uuid, ForeignKey("users.id"), nullable=False, index=True),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    # The job's JobSpec.to_json() of that version; job_versions holds each of them for ever.
    Column("spec", JSONB, nullable=False),
    # Grows with every change that Prefect is to show; synced_generation follows it (D7).
    Column("generation", BigInteger, nullable=False, server_default=text("1")),
    Column("synced_generation", BigInteger, nullable=False, server_default=text("0")),
    Column("sync_error", Text),
    Column("prefect_deployment_id", Uuid),
    moment("created_at", nullable=False, default_now=True),
    moment("updated_at", nullable=False, default_now=True),
    moment("deleted_at"),
    # Since when the present schedule is followed: ticks before it are nobody's.
    moment("scheduled_since", nullable=False, default_now=True),
    CheckConstraint("status IN ('active', 'disabled', 'deleted')", name="status"),
    Index(
        "uq_jobs_team_id_name",
        "team_id",
        func.lower(text("name")),
        unique=True,
        postgresql_where=text("status <> 'deleted'"),
    ),
    Index("ix_jobs_behind", "id", postgresql_where=text("synced_generation < generation")),
)

agenda = Table(
    "agenda",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id"), primary_key=True),
    # Every tick of the job before this one has its execution (decision 0012). -infinity: the schedule has just been
    # set, look from jobs.scheduled_since on; infinity: no tick follows. A table of its own: it changes at every tick.
    Column("next_tick_at", DateTime(timezone=True), nullable=False, server_default="-infinity"),
    Index("ix_agenda_next_tick_at", "next_tick_at"),
)

job_versions = Table(
    "job_versions",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec", JSONB, nullable=False),
    Column("author_id", Uuid, ForeignKey("users.id"), nullable=False),
    # What made it: 'created', 'edited', 'rolled back to version 3', ...
    Column("change", Text, nullable=False),
    moment("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("job_id", "version"),
)
