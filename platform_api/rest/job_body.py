"""A job as JSON, read: the shapes here, the rules in ``domain.job_rules``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from platform_api.domain.errors import FieldError, InvalidContent
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.jobs import (
    DEFAULT_TIMEOUT_SECONDS,
    CatchUp,
    Concurrency,
    JobSpec,
    JobStatus,
    JobType,
    Notifications,
    Priority,
    Resources,
)
from platform_api.domain.retries import RetryPolicy
from platform_api.rest.errors import field_errors

#: Deeper than any sensible metadata, far from the depth where JSON readers give up.
DEEPEST_NESTING = 50

_DEFAULT_RETRY = RetryPolicy()
_LATER_TYPES = ("webhook", "template")


class _Strict(BaseModel):
    """Nothing unknown, and no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RetryPolicyBody(_Strict):
    """When a failed attempt is followed by another."""

    max_retries: Annotated[int, Field(description="0 to 5")] = 0
    retry_delay_minutes: Annotated[float | None, Field(description="1 to 60; default 5")] = None
    retry_delay_seconds: Annotated[int | None, Field(description="1 to 3600, in place of minutes")] = None
    exponential_backoff: bool = False
    jitter: bool = False


class ResourcesBody(_Strict):
    """What a run may use at most, in Kubernetes' notation."""

    cpu: str = "1"
    memory: str = "2Gi"


class NotificationsBody(_Strict):
    """Whom to tell about the end of an execution."""

    on_failure: list[str] = []
    on_success: list[str] = []
    slack_webhook: str | None = None


class JobBody(_Strict):
    """Everything a person decides about a job."""

    name: Annotated[str, Field(description="Unique within the team, 1 to 200 characters.")]
    type: Annotated[
        Literal["python", "shell", "bash", "webhook", "template"],
        Field(description="`python` or `shell` (`bash` is accepted for it); the others are not supported yet."),
    ]
    description: str = ""
    script: Annotated[str | None, Field(description="The text of the script.")] = None
    script_url: str | None = None
    git: dict[str, str] | None = None
    webhook: Annotated[dict[str, Any] | None, Field(description="Not supported yet.")] = None
    template: Annotated[str | None, Field(description="Not supported yet.")] = None
    parameters: Annotated[dict[str, Any] | None, Field(description="Not supported yet.")] = None
    arguments: list[str] = []
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    schedule: Annotated[str | None, Field(description="Five cron fields, or @daily and friends.")] = None
    run_at: Annotated[datetime | None, Field(description="Runs once, at this moment.")] = None
    interval_seconds: Annotated[int | None, Field(description="At least 60.")] = None
    timezone: str = "UTC"
    timeout_minutes: Annotated[float | None, Field(description="1 to 1440; default 60.")] = None
    timeout_seconds: Annotated[int | None, Field(description="1 to 86400, in place of minutes.")] = None
    retry_policy: RetryPolicyBody = RetryPolicyBody()
    concurrency: Concurrency = Concurrency.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    priority: Priority = Priority.NORMAL
    resources: ResourcesBody = ResourcesBody()
    image: str | None = None
    notifications: NotificationsBody = NotificationsBody()
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    status: Literal["active", "disabled"] | None = None
    version: Annotated[int | None, Field(description="The version that a change is meant for; 412 if stale.")] = None


class RollbackBody(_Strict):
    """Which version is to be made anew."""

    version: int


class CloneBody(_Strict):
    """How the copy differs."""

    name: Annotated[str | None, Field(description="Default: the name with ` (copy)` behind it.")] = None
    status: Annotated[
        Literal["active", "disabled"], Field(description="A copy starts disabled, so that nothing runs twice.")
    ] = "disabled"


BODY_SCHEMAS: dict[str, Any] = {}
for _model in (JobBody, RollbackBody, CloneBody):
    _schema = _model.model_json_schema(ref_template="#/components/schemas/{model}")
    BODY_SCHEMAS |= _schema.pop("$defs", {}) | {_model.__name__: _schema}

#: A job's answer repeats these; a body that gives them back may not contradict what is stored.
_CLAIMS = ("job_id", "owner", "team", "prefect_deployment_id")
#: These change by themselves, so a body that gives back an older value means nothing by it.
_PASSING = ("created_at", "updated_at", "next_execution", "last_execution", "sync")


def read_job(document: Mapping[str, Any], *, repeats_answer: bool = False) -> JobDraft:
    """As much of a job as can be read, and every fault of its shape.

    ``repeats_answer``: a change may give back what a GET answered, the platform's own fields included.
    """
    given = dict(document)
    claims: dict[str, Any] = {}
    if repeats_answer:
        claims = {name: given.pop(name) for name in _CLAIMS if name in given}
        for name in _PASSING:
            given.pop(name, None)
    faults = list(unstorable(given))
    body, more = _parsed({name: value for name, value in given.items() if not _is_named(name, faults)})
    faults += [fault for fault in more if fault.field not in given or not _is_named(fault.field, faults)]
    faults += _unsupported(body)
    return JobDraft(
        spec=_spec(body, faults),
        faults=tuple(faults),
        status=JobStatus(body.status) if body.status else None,
        version=body.version,
        claims=claims,
    )


def unstorable(value: Any, path: str = "", depth: int = 0) -> Iterator[FieldError]:
    """What JSON can say and no database or script can take: NUL, half a surrogate pair, NaN, endless nesting."""
    if depth > DEEPEST_NESTING:
        yield FieldError(path, f"is nested deeper than {DEEPEST_NESTING} levels")
    elif isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield FieldError(path, "must not contain NUL characters or half surrogate pairs")
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldError(path, "must be a finite number")
    elif isinstance(value, dict):
        for name, item in value.items():
            inner = f"{path}.{name}" if path else name
            yield from (FieldError(inner, fault.message) for fault in unstorable(name))
            yield from unstorable(item, inner, depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from unstorable(item, f"{path}.{place}", depth + 1)


def refuse_unstorable(value: Any) -> None:
    """Raise ``InvalidContent`` for what ``unstorable`` finds."""
    faults = list(unstorable(value))
    if faults:
        raise InvalidContent(faults)


def _is_named(name: str, faults: list[FieldError]) -> bool:
    return any(fault.field == name or fault.field.startswith(f"{name}.") for fault in faults)


def _parsed(given: dict[str, Any]) -> tuple[JobBody, list[FieldError]]:
    """The body without what has a wrong shape, so that the rest can be checked in the same breath."""
    try:
        return JobBody.model_validate_json(json.dumps(given)), []
    except ValidationError as error:
        faults = field_errors(error.errors())
        wrong = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
    sound = {name: value for name, value in given.items() if name not in wrong}
    # A stand-in for what is required keeps the rest readable; its fault is already told.
    return JobBody.model_validate_json(json.dumps({"name": "-", "type": "python"} | sound)), faults


def _unsupported(body: JobBody) -> list[FieldError]:
    faults = []
    if body.type in _LATER_TYPES:
        faults.append(FieldError("type", f"{body.type} jobs are not supported yet; use python or shell"))
    for name in ("webhook", "template", "parameters"):
        if getattr(body, name) is not None:
            faults.append(FieldError(name, "is not supported yet; leave it out"))
    return faults


def _spec(body: JobBody, faults: list[FieldError]) -> JobSpec:
    return JobSpec(
        name=body.name,
        type=JobType.PYTHON if body.type == "python" else JobType.SHELL,
        description=body.description,
        # What is wrong with a job of an unsupported type is its type, not that it has no script.
        script="-" if body.script is None and body.type in _LATER_TYPES else body.script,
        script_url=body.script_url,
        git=body.git,
        arguments=tuple(body.arguments),
        env=body.env,
        secrets=body.secrets,
        schedule=body.schedule,
        run_at=body.run_at,
        interval_seconds=body.interval_seconds,
        timezone=body.timezone,
        timeout_seconds=_timeout(body, faults),
        retry_policy=_retry_policy(body.retry_policy, faults),
        concurrency=body.concurrency,
        catch_up=body.catch_up,
        priority=body.priority,
        resources=Resources(body.resources.cpu, body.resources.memory),
        image=body.image,
        notifications=Notifications(
            tuple(body.notifications.on_failure),
            tuple(body.notifications.on_success),
            body.notifications.slack_webhook,
        ),
        tags=tuple(body.tags),
        metadata=body.metadata,
    )


def _timeout(body: JobBody, faults: list[FieldError]) -> int:
    seconds, fault = _one_duration("timeout", body.timeout_minutes, body.timeout_seconds, 1440)
    faults.extend(fault)
    return DEFAULT_TIMEOUT_SECONDS if seconds is None else seconds


def _retry_policy(body: RetryPolicyBody, faults: list[FieldError]) -> RetryPolicy:
    seconds, fault = _one_duration("retry_policy.retry_delay", body.retry_delay_minutes, body.retry_delay_seconds, 60)
    faults.extend(fault)
    return RetryPolicy(
        max_retries=body.max_retries,
        retry_delay_seconds=_DEFAULT_RETRY.retry_delay_seconds if seconds is None else seconds,
        exponential_backoff=body.exponential_backoff,
        jitter=body.jitter,
    )


def _one_duration(
    field: str, minutes: float | None, seconds: int | None, most_minutes: int
) -> tuple[int | None, list[FieldError]]:
    """Seconds from whichever of the two is given; a pair that agrees is what an answer of ours looks like."""
    if minutes is None:
        return seconds, []
    exact = minutes * 60
    if seconds is not None:
        message = f"contradicts {field}_minutes; give one of the two"
        return seconds, [] if abs(exact - seconds) < 1 else [FieldError(f"{field}_seconds", message)]
    if not 1 <= minutes <= most_minutes:
        return None, [FieldError(f"{field}_minutes", f"must be from 1 to {most_minutes}")]
    if exact != round(exact):
        return None, [FieldError(f"{field}_minutes", f"is no whole number of seconds; give {field}_seconds")]
    return round(exact), []
