"""The tables. Migrations make them; a test holds the two together.

Read top-down: people, jobs and their versions, executions and their attempts, logs, workers, what Prefect is
still to be told, the audit trail, and answers kept for repeated requests.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _moment(name: str, *, nullable: bool = True, default_now: bool = False) -> Column:  # type: ignore[type-arg]
    default = func.now() if default_now else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


teams = Table(
    "teams",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _moment("created_at", nullable=False, default_now=True),
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
    _moment("created_at", nullable=False, default_now=True),
    Index("uq_users_email", func.lower(text("email")), unique=True),
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
    _moment("expires_at"),
    _moment("last_used_at"),
    _moment("revoked_at"),
    _moment("created_at", nullable=False, default_now=True),
)

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
    _moment("created_at", nullable=False, default_now=True),
    _moment("updated_at", nullable=False, default_now=True),
    _moment("deleted_at"),
    # Since when the present schedule is followed: ticks before it are nobody's.
    _moment("scheduled_since", nullable=False, default_now=True),
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
    _moment("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("job_id", "version"),
)

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
    _moment("scheduled_for"),
    # When the next attempt is to start: the tick, the moment of the request, or the retry's time.
    _moment("due_at", nullable=False),
    _moment("queued_at", nullable=False, default_now=True),
    _moment("started_at"),
    _moment("ended_at"),
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
    _moment("cancel_requested_at"),
    Column("cancel_requested_by", Text),
    Column("prefect_flow_run_id", Uuid, unique=True),
    # A failed execution that a person has replayed or dismissed is no dead letter any more.
    _moment("dealt_with_at"),
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
    _moment("started_at"),
    _moment("ended_at"),
    Column("exit_code", Integer),
    Column("error_message", Text),
    _moment("next_attempt_at"),
    Column("worker", Text),
    PrimaryKeyConstraint("execution_id", "attempt"),
)

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
    _moment("created_at", nullable=False, default_now=True),
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
    _moment("created_at", nullable=False, default_now=True),
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
    _moment("started_at", nullable=False, default_now=True),
    _moment("heartbeat_at", nullable=False, default_now=True),
    _moment("lease_expires_at", nullable=False),
    _moment("stopped_at"),
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
    _moment("scheduled_time"),
    _moment("created_at", nullable=False, default_now=True),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    CheckConstraint("(execution_id IS NULL) <> (flow_run_id IS NULL)", name="about"),
    Index("ix_prefect_reports_execution_id", "execution_id", "id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _moment("at", nullable=False, default_now=True),
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
    _moment("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("user_id", "key"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)
