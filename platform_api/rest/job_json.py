"""A job as JSON, written."""

from __future__ import annotations

from typing import Any

from platform_api.domain.job_records import Job, JobVersion, LastExecution
from platform_api.domain.jobs import JobSpec
from platform_api.domain.retries import RetryPolicy
from platform_api.rest.moments import moment
from platform_api.use_cases.jobs import JobView


def spec_json(spec: JobSpec) -> dict[str, Any]:
    """Everything a person decides about a job, under the contract's names."""
    document = spec.to_json()
    document["run_at"] = moment(spec.run_at) if spec.run_at is None or spec.run_at.tzinfo else spec.run_at.isoformat()
    document["timeout_minutes"] = _minutes(spec.timeout_seconds)
    document["retry_policy"] = _retry_policy(spec.retry_policy)
    return document


def job_json(view: JobView) -> dict[str, Any]:
    """A job with what the platform knows about it."""
    job = view.job
    return {
        "job_id": str(job.id),
        **spec_json(job.spec),
        "status": job.status.value,
        "owner": job.owner,
        "team": job.team,
        "version": job.version,
        "created_at": moment(job.created_at),
        "updated_at": moment(job.updated_at),
        "next_execution": moment(view.next_execution),
        "last_execution": _last_execution(job.last_execution),
        "prefect_deployment_id": str(job.prefect_deployment_id) if job.prefect_deployment_id else None,
        "sync": _sync(job),
    }


def editable_json(job: Job) -> dict[str, Any]:
    """What a merge patch is merged into."""
    return {**spec_json(job.spec), "status": job.status.value}


def version_json(version: JobVersion) -> dict[str, Any]:
    """One saved change."""
    return {
        "job_id": str(version.job_id),
        "version": version.version,
        "author": version.author,
        "change": version.change,
        "created_at": moment(version.created_at),
        "job": spec_json(version.spec),
    }


def _sync(job: Job) -> dict[str, Any]:
    """Whether Prefect shows what is stored, and if not, why not."""
    behind = job.synced_generation < job.generation
    return {"state": job.sync_state.value, "error": job.sync_error if behind else None}


def _last_execution(last: LastExecution | None) -> dict[str, Any] | None:
    if last is None:
        return None
    return {
        "execution_id": str(last.execution_id),
        "status": last.status.value,
        "queued_at": moment(last.queued_at),
        "started_at": moment(last.started_at),
        "ended_at": moment(last.ended_at),
    }


def _retry_policy(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "max_retries": policy.max_retries,
        "retry_delay_minutes": _minutes(policy.retry_delay_seconds),
        "retry_delay_seconds": policy.retry_delay_seconds,
        "exponential_backoff": policy.exponential_backoff,
        "jitter": policy.jitter,
    }


def _minutes(seconds: int) -> float | int:
    """Whole minutes as an integer, others as they are."""
    return seconds // 60 if seconds % 60 == 0 else seconds / 60
