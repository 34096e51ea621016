"""What a script finds in its environment: the job's words, its secrets and ours, nothing of the worker's (D9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from platform_api.domain.jobs import JobSpec
from platform_api.ports.claims import HeldRun
from platform_api.ports.secrets import SecretValues
from work_pools.executors.protocol import AttemptOrder, AttemptRef

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(run: HeldRun, spec: JobSpec, secrets: SecretValues) -> dict[str, str]:
    """The job's variables, then those of this run, its secrets, and ours, which nobody can take away from a script."""
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        # Output in its moment, not in blocks: a live log would show nothing for minutes.
        "PYTHONUNBUFFERED": "1",
        **spec.env,
        **_overrides(run).get("env", {}),
        **secrets.env,
        "JOB_ID": str(run.job_id),
        "JOB_NAME": spec.name,
        "EXECUTION_ID": str(run.id),
        "ATTEMPT": str(run.attempt),
        "SCHEDULED_FOR": run.scheduled_for.isoformat() if run.scheduled_for else "",
    }


def arguments(run: HeldRun, spec: JobSpec) -> Sequence[str]:
    """This run's own arguments if it has any, else the job's."""
    own = _overrides(run).get("arguments")
    return spec.arguments if own is None else tuple(own)


def order(run: HeldRun, spec: JobSpec, secrets: SecretValues, grace_seconds: float) -> AttemptOrder:
    """The order for the run's present attempt, as a claim of its own."""
    return AttemptOrder(
        ref=AttemptRef(run.id, run.attempt),
        claim=uuid4(),
        type=spec.type,
        script=spec.script or "",
        arguments=arguments(run, spec),
        env=environment(run, spec, secrets),
        timeout_seconds=spec.timeout_seconds,
        grace_seconds=grace_seconds,
        memory_bytes=spec.resources.memory_bytes,
        cpu_cores=spec.resources.cpu_cores,
    )


def _overrides(run: HeldRun) -> dict[str, Any]:
    return run.overrides or {}
