"""Starting a job by hand, for the first time or again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from platform_api.audit.actions import Action
from platform_api.domain.errors import Conflict, InvalidContent
from platform_api.domain.executions import TriggeredBy
from platform_api.domain.job_records import Job
from platform_api.domain.job_rules import faults_of
from platform_api.domain.jobs import JobSpec, JobStatus
from platform_api.ports.executions import Execution
from platform_api.ports.reports import Report, ReportKind
from platform_api.ports.runs import NewRun
from platform_api.ports.signals import Channel
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.executions import allowed, subject_of
from platform_api.use_cases.guard import guarded, remember
from platform_api.use_cases.job_access import load_job
from platform_api.use_cases.job_access import subject_of as subject_of_job
from platform_api.use_cases.rate_limits import spend_run
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is different in one run: the arguments as a whole, single variables of the environment."""

    arguments: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any] | None:
        """The form in which they are stored; None when nothing is different."""
        stored: dict[str, Any] = {}
        if self.arguments is not None:
            stored["arguments"] = list(self.arguments)
        if self.env:
            stored["env"] = dict(self.env)
        return stored or None


async def run(services: Services, caller: Caller, job_id: UUID, overrides: Overrides) -> NewRun:
    """Queue a run that is due at once. A disabled job may be run by hand, a deleted one never."""
    async with guarded(services, caller) as uow:
        job = await load_job(uow, caller, Permission.JOB_RUN, job_id, lock=True)
        _check(job.spec, overrides)
        await spend_run(services, caller.principal.user_id)
        new = _new_run(services, caller, job, caller.via, overrides.to_json())
        await queue(uow, new)
        await record(
            uow, caller, Action.JOB_RUN, subject_of_job(job), new={"execution_id": str(new.id), **(new.overrides or {})}
        )
        await remember(uow, caller, new)
    return new


async def retry(services: Services, caller: Caller, execution_id: UUID) -> NewRun:
    """Run an execution that is over again, as the job is now and with the same overrides."""
    async with guarded(services, caller) as uow:
        execution = await allowed(uow, caller, Permission.EXECUTION_RETRY, execution_id)
        if not execution.status.is_terminal:
            raise Conflict(f"The execution is {execution.status}; only one that is over can be run again.")
        # Whoever runs a failure again has dealt with it.
        await uow.executions.deal_with(execution_id, caller.principal.user_id, services.clock.now())
        return await repeat(services, uow, caller, execution, Action.EXECUTION_RETRIED)


async def repeat(services: Services, uow: UnitOfWork, caller: Caller, execution: Execution, action: Action) -> NewRun:
    """Queue a repetition of ``execution`` and record it under ``action``."""
    job = await uow.jobs.get(execution.job_id, lock=True)
    if job is None or job.status is JobStatus.DELETED:
        raise Conflict("The job of this execution is deleted; it cannot run again.")
    await spend_run(services, caller.principal.user_id)
    new = replace(_new_run(services, caller, job, TriggeredBy.RETRY, execution.overrides), retry_of=execution.id)
    await queue(uow, new)
    await record(uow, caller, action, subject_of(execution), new={"execution_id": str(new.id)})
    await remember(uow, caller, new)
    return new


async def queue(uow: UnitOfWork, new: NewRun) -> None:
    """Write the run, what Prefect is to be told of it, and wake the workers: in one transaction."""
    await uow.runs.add(new)
    await uow.reports.add([Report(ReportKind.CREATE, new.id)])
    await uow.notify(Channel.WORK, new.pool)
    await uow.notify(Channel.EXECUTION, str(new.id))


def _new_run(
    services: Services,
    caller: Caller,
    job: Job,
    triggered_by: TriggeredBy,
    overrides: Mapping[str, Any] | None,
) -> NewRun:
    return NewRun(
        id=uuid7(),
        job=job,
        pool=services.settings.work_pool,
        triggered_by=triggered_by,
        user_id=caller.principal.user_id,
        now=services.clock.now(),
        overrides=overrides,
    )


def _check(spec: JobSpec, overrides: Overrides) -> None:
    """The rules for a job's own arguments and environment hold for what one run gets, too."""
    arguments = spec.arguments if overrides.arguments is None else overrides.arguments
    changed = replace(spec, arguments=arguments, env={**spec.env, **overrides.env})
    faults = [fault for fault in faults_of(changed) if fault.field.partition(".")[0] in ("arguments", "env")]
    if faults:
        raise InvalidContent(faults)
