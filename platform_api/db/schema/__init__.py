"""The tables. Migrations make them; a test holds the two together."""

from __future__ import annotations

from platform_api.db.schema.audit import audit_log
from platform_api.db.schema.executions import attempts, executions, prefect_reports, workers
from platform_api.db.schema.jobs import agenda, job_versions, jobs
from platform_api.db.schema.logs import log_archives, log_chunks
from platform_api.db.schema.metadata import metadata
from platform_api.db.schema.people import api_keys, idempotency_keys, teams, users
from platform_api.db.schema.sessions import identities, sessions, sign_ins

__all__ = [
    "agenda",
    "api_keys",
    "attempts",
    "audit_log",
    "executions",
    "idempotency_keys",
    "identities",
    "job_versions",
    "jobs",
    "log_archives",
    "log_chunks",
    "metadata",
    "prefect_reports",
    "sessions",
    "sign_ins",
    "teams",
    "users",
    "workers",
]
