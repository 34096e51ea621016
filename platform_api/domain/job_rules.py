"""What a job must fulfil that needs neither a calendar nor a person: every fault, with how to mend it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from platform_api.domain.errors import FieldError
from platform_api.domain.jobs import JobSpec
from platform_api.domain.secret_records import faults_of_name

LONGEST_NAME = 200
LONGEST_DESCRIPTION = 10_000
MOST_ARGUMENTS = 256
LONGEST_ARGUMENT = 8 * 1024
MOST_VARIABLES = 200
MOST_SECRETS = 50
LONGEST_VALUE = 32 * 1024
#: The kernel takes about 2 MiB for arguments and environment together; the platform's own need room there too.
LARGEST_ENVIRONMENT = 256 * 1024
MOST_TAGS = 20
MOST_RECIPIENTS = 50
LARGEST_METADATA = 4 * 1024
TIMEOUT_SECONDS = range(1, 86_400 + 1)
RETRIES = range(5 + 1)
RETRY_DELAY_SECONDS = range(1, 3600 + 1)

#: Set by the platform for every script.
RESERVED_VARIABLES = frozenset(
    {"JOB_ID", "JOB_NAME", "EXECUTION_ID", "ATTEMPT", "SCHEDULED_FOR", "JOB_RESULT", "LD_PRELOAD", "LD_LIBRARY_PATH"}
)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TAG = re.compile(r"[\w.:/@+-][\w .:/@+-]{0,62}[\w.:/@+-]|[\w.:/@+-]")
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_CPU = re.compile(r"(?:\d{1,3}(?:\.\d{1,3})?|\d{1,6}m)", re.ASCII)
_MEMORY = re.compile(r"\d{1,12}(?:\.\d{1,3})?(?:[KMGT]i?|k)?", re.ASCII)
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,254}", re.ASCII)

Rule = Callable[[JobSpec], Iterator[FieldError]]


def faults_of(spec: JobSpec) -> list[FieldError]:
    """Every fault of ``spec``, in the order of ``RULES``."""
    return [fault for rule in RULES for fault in rule(spec)]


def _name(spec: JobSpec) -> Iterator[FieldError]:
    if not spec.name.strip():
        yield FieldError("name", "must not be empty")
    elif spec.name != spec.name.strip():
        yield FieldError("name", "must not begin or end with a space")
    elif len(spec.name) > LONGEST_NAME:
        yield FieldError("name", f"must have at most {LONGEST_NAME} characters, not {len(spec.name)}")
    elif not spec.name.isprintable():
        yield FieldError("name", "must be one line of printable characters")


def _description(spec: JobSpec) -> Iterator[FieldError]:
    if len(spec.description) > LONGEST_DESCRIPTION:
        yield FieldError("description", f"must have at most {LONGEST_DESCRIPTION} characters")


def _source(spec: JobSpec) -> Iterator[FieldError]:
    given = [name for name in ("script", "script_url", "git") if getattr(spec, name) is not None]
    if len(given) > 1:
        yield FieldError(given[1], f"gives a second source beside {given[0]}; give exactly one")
    if not given:
        yield FieldError("script", "is required: the text of the script to run")
    elif spec.script is not None and not spec.script.strip():
        yield FieldError("script", "must not be empty")
    for later in ("script_url", "git"):
        if getattr(spec, later) is not None:
            yield FieldError(later, "is not supported yet; give the script's text in `script`")


def _arguments(spec: JobSpec) -> Iterator[FieldError]:
    if len(spec.arguments) > MOST_ARGUMENTS:
        yield FieldError("arguments", f"must be at most {MOST_ARGUMENTS}, not {len(spec.arguments)}")
    for place, argument in enumerate(spec.arguments):
        if len(argument.encode(errors="replace")) > LONGEST_ARGUMENT:
            yield FieldError(f"arguments.{place}", f"must have at most {LONGEST_ARGUMENT} bytes")


def faults_of_environment(env: dict[str, str], field: str = "env") -> Iterator[FieldError]:
    """The faults of environment variables, a job's own or those of one run."""
    if len(env) > MOST_VARIABLES:
        yield FieldError(field, f"must have at most {MOST_VARIABLES} variables, not {len(env)}")
    if sum(len(name) + len(value.encode(errors="replace")) for name, value in env.items()) > LARGEST_ENVIRONMENT:
        yield FieldError(field, f"must have at most {LARGEST_ENVIRONMENT // 1024} KiB in all")
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            yield FieldError(f"{field}.{name}", "is no variable name: use letters, digits and _, not first a digit")
        elif name in RESERVED_VARIABLES:
            yield FieldError(f"{field}.{name}", "is set by the platform; choose another name")
        if len(value.encode(errors="replace")) > LONGEST_VALUE:
            yield FieldError(f"{field}.{name}", f"must have at most {LONGEST_VALUE // 1024} KiB")


def _environment(spec: JobSpec) -> Iterator[FieldError]:
    yield from faults_of_environment(spec.env)


def _secrets(spec: JobSpec) -> Iterator[FieldError]:
    if len(spec.secrets) > MOST_SECRETS:
        yield FieldError("secrets", f"must be at most {MOST_SECRETS}, not {len(spec.secrets)}")
    yield from faults_of_environment(dict.fromkeys(spec.secrets, ""), "secrets")
    for variable, name in spec.secrets.items():
        if variable in spec.env:
            yield FieldError(f"secrets.{variable}", "is in env, too; leave one of the two out")
        yield from faults_of_name(name, f"secrets.{variable}")


def _schedule(spec: JobSpec) -> Iterator[FieldError]:
    given = [name for name in ("schedule", "run_at", "interval_seconds") if getattr(spec, name) is not None]
    for further in given[1:]:
        yield FieldError(further, f"gives a second schedule beside {given[0]}; give at most one")


def _timeout(spec: JobSpec) -> Iterator[FieldError]:
    if spec.timeout_seconds not in TIMEOUT_SECONDS:
        yield FieldError("timeout_seconds", "must be from 1 to 86400 seconds (24 hours)")


def _retries(spec: JobSpec) -> Iterator[FieldError]:
    if spec.retry_policy.max_retries not in RETRIES:
        yield FieldError("retry_policy.max_retries", "must be from 0 to 5")
    if spec.retry_policy.retry_delay_seconds not in RETRY_DELAY_SECONDS:
        yield FieldError("retry_policy.retry_delay_seconds", "must be from 1 to 3600 seconds (60 minutes)")


def _resources(spec: JobSpec) -> Iterator[FieldError]:
    if not _CPU.fullmatch(spec.resources.cpu) or not spec.resources.cpu.strip("0.m"):
        yield FieldError("resources.cpu", 'must be a number of cores above 0, such as "1", "0.5" or "500m"')
    if not _MEMORY.fullmatch(spec.resources.memory) or not spec.resources.memory.rstrip("KMGTik").strip("0."):
        yield FieldError("resources.memory", 'must be an amount above 0, such as "512Mi" or "2Gi"')
    if spec.image is not None and not _IMAGE.fullmatch(spec.image):
        yield FieldError("image", 'must be the name of a container image, such as "python:3.12-slim"')


def _notifications(spec: JobSpec) -> Iterator[FieldError]:
    for field in ("on_failure", "on_success"):
        recipients = getattr(spec.notifications, field)
        if len(recipients) > MOST_RECIPIENTS:
            yield FieldError(f"notifications.{field}", f"must be at most {MOST_RECIPIENTS} addresses")
        for place, address in enumerate(recipients):
            if not _EMAIL.fullmatch(address):
                yield FieldError(f"notifications.{field}.{place}", "is no e-mail address")
    webhook = spec.notifications.slack_webhook
    if webhook is not None and not _is_https(webhook):
        yield FieldError("notifications.slack_webhook", "must be an https:// address")


def _is_https(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and bool(parts.hostname) and address.isprintable() and " " not in address
    except ValueError:
        return False


def _tags(spec: JobSpec) -> Iterator[FieldError]:
    if len(spec.tags) > MOST_TAGS:
        yield FieldError("tags", f"must be at most {MOST_TAGS}, not {len(spec.tags)}")
    for place, tag in enumerate(spec.tags):
        if not _TAG.fullmatch(tag):
            yield FieldError(f"tags.{place}", "must be 1 to 64 letters, digits, spaces or any of . : / @ + - _")
        elif tag in spec.tags[:place]:
            yield FieldError(f"tags.{place}", "is there twice")


def _metadata(spec: JobSpec) -> Iterator[FieldError]:
    size = len(json.dumps(spec.metadata, separators=(",", ":"), ensure_ascii=False).encode(errors="replace"))
    if size > LARGEST_METADATA:
        yield FieldError("metadata", f"must have at most 4 KiB as JSON, not {size} bytes")


RULES: tuple[Rule, ...] = (
    _name,
    _description,
    _source,
    _arguments,
    _environment,
    _secrets,
    _schedule,
    _timeout,
    _retries,
    _resources,
    _notifications,
    _tags,
    _metadata,
)
