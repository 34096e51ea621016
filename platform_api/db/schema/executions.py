"""Executions, their attempts, who runs them, and what Prefect is still to be told of them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from platform_api.db.schema.metadata import metadata, moment

executions = Table(
    "executions",
    metadata,
    # The id of the Prefect flow run where Prefect proposed it (a tick); ours where a person asked for it, and then
    # also the idempotency key under which the flow run is created (decision 0003).
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, ForeignKey("jobs.id"), nullable=False),
    Column("job_version", Integer, nullable=False),
    Column("pool", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("triggered_by", Text, nullable=False),
    Column("triggered_by_user_id", Uuid, ForeignKey("users.id")),
    # The tick; null when started by hand.
    moment("scheduled_for"),
    # When the next attempt is to start: the tick, the moment of the request, or the retry's time.
    moment("due_at", nullable=False),
    moment("queued_at", nullable=False, default_now=True),
    moment("started_at"),
    moment("ended_at"),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("exit_code", Integer),
    Column("error_message", Text),
    Column("reason", Text),
    Column("result", JSONB),
    Column("revision", Text),
    # {"arguments": [...], "env": {...}} for this run only.
    Column("overrides", JSONB),
    # The execution that this one repeats.
    Column("retry_of", Uuid, ForeignKey("executions.id")),
    # Who holds it: claimed ahead, running, or being adopted. Every write of a worker names itself here.
    Column("worker_id", Uuid),
    Column("worker", Text),
    # False only for jobs whose concurrency is 'allow'; see the partial index below.
    Column("exclusive", Boolean, nullable=False),
    Column("priority", Integer, nullable=False, server_default=text("2")),
    moment("cancel_requested_at"),
    Column("cancel_requested_by", Text),
    Column("prefect_flow_run_id", Uuid, unique=True),
    # A failed execution that a person has replayed or dismissed is no dead letter any more.
    moment("dealt_with_at"),
    Column("dealt_with_by", Uuid, ForeignKey("users.id")),
    # One execution per tick, whatever is proposed twice (D3).
    UniqueConstraint("job_id", "scheduled_for"),
    # At most one execution of a job that forbids overlap is under way, retries included (D3).
    Index(
        "uq_executions_job_id_exclusive",
        "job_id",
        unique=True,
        postgresql_where=text("exclusive AND status IN ('running', 'retrying')"),
    ),
    Index(
        "ix_executions_due",
        "pool",
        "due_at",
        postgresql_where=text("status IN ('queued', 'retrying')"),
    ),
    Index(
        "ix_executions_held",
        "worker_id",
        postgresql_where=text("status IN ('queued', 'running', 'retrying')"),
    ),
    Index("ix_executions_job_id_queued_at", "job_id", "queued_at", "id"),
    # A job's newest verdict, and rare statuses in a long history.
    Index("ix_executions_job_id_status", "job_id", "status", "queued_at", "id"),
    Index("ix_executions_queued_at", "queued_at", "id"),
    Index(
        "ix_executions_dead_letters",
        "ended_at",
        "id",
        postgresql_where=text("status IN ('failed', 'timed_out', 'crashed') AND dealt_with_at IS NULL"),
    ),
    CheckConstraint(
        "status IN ('queued','running','retrying','success','failed','timed_out','cancelled','skipped','crashed')",
        name="status",
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("execution_id", Uuid, ForeignKey("executions.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", Text, nullable=False),
    moment("started_at"),
    moment("ended_at"),
    Column("exit_code", Integer),
    Column("error_message", Text),
    moment("next_attempt_at"),
    Column("worker", Text),
    PrimaryKeyConstraint("execution_id", "attempt"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("pool", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    moment("started_at", nullable=False, default_now=True),
    moment("heartbeat_at", nullable=False, default_now=True),
    moment("lease_expires_at", nullable=False),
    moment("stopped_at"),
    # What this machine cannot enforce against a hostile script, in words for the health page.
    Column("warnings", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Index("ix_workers_pool", "pool", postgresql_where=text("stopped_at IS NULL")),
)

prefect_reports = Table(
    "prefect_reports",
    metadata,
    # In order within an execution; a row is deleted once Prefect has taken it.
    Column("id", BigInteger, Identity(), primary_key=True),
    # One of the two: an execution, or a flow run that became none (a lost duplicate, a tick of an old schedule).
    Column("execution_id", Uuid, ForeignKey("executions.id")),
    Column("flow_run_id", Uuid, unique=True),
    # 'create' (a flow run for an execution that a person asked for), 'state' or 'delete'.
    Column("kind", Text, nullable=False),
    Column("state_type", Text),
    Column("state_name", Text),
    Column("message", Text),
    # For AwaitingRetry: when the next attempt is due.
    moment("scheduled_time"),
    moment("created_at", nullable=False, default_now=True),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    CheckConstraint("(execution_id IS NULL) <> (flow_run_id IS NULL)", name="about"),
    Index("ix_prefect_reports_execution_id", "execution_id", "id"),
)
