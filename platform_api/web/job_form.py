"""A job's form: the contract's job as fields that people fill in, and back.

What was typed comes back as it was typed, whatever is wrong with it; the document goes through the same reader and
rules as JSON does (``rest.job_body``), and its faults are told beside the fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from platform_api.domain.errors import FieldError
from platform_api.domain.job_drafts import JobDraft
from platform_api.domain.job_records import Job
from platform_api.rest.job_body import read_job
from platform_api.rest.job_json import editable_json
from platform_api.web import schedules

#: How a job may be scheduled; the form shows the fields of one of them.
KINDS = ("cron", "once", "interval", "demand")

#: Where the message about a part of the document is shown.
_SHOWN_AT = {
    "timeout_seconds": "timeout_minutes",
    "retry_delay_seconds": "retry_delay_minutes",
    "retry_policy": "max_retries",
    "resources": "cpu",
    "notifications": "on_failure",
}

_STARTING: dict[str, str] = {
    "type": "python",
    "schedule_kind": "cron",
    "timezone": "UTC",
    "timeout_minutes": "60",
    "max_retries": "0",
    "retry_delay_minutes": "5",
    "concurrency": "skip",
    "catch_up": "latest",
    "priority": "normal",
    "cpu": "1",
    "memory": "2Gi",
    "status": "active",
}

#: Every field that holds text.
FIELDS = (
    "name", "description", "type", "script", "arguments", "env", "secrets", "schedule_kind", "schedule", "run_at",
    "interval_seconds", "timezone", "timeout_minutes", "max_retries", "retry_delay_minutes", "concurrency",
    "catch_up", "priority", "cpu", "memory", "image", "on_failure", "on_success", "slack_webhook", "tags", "metadata",
    "version",
)  # fmt: skip
_TICKED = ("exponential_backoff", "jitter", "status")


@dataclass(slots=True)
class JobForm:
    """What the fields show, and what is wrong with them."""

    values: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    #: Faults of parts that have no field.
    general: list[str] = field(default_factory=list)

    def value(self, name: str) -> str:
        """What the field shows."""
        return self.values.get(name, "")

    def fault(self, name: str) -> str | None:
        """What is wrong with the field."""
        return self.faults.get(name)

    def blame(self, faults: Iterable[FieldError]) -> None:
        """Put each fault beside its field."""
        for fault in faults:
            name = shown_at(fault.field)
            if name not in FIELDS:
                self.general.append(f"{fault.field} {fault.message}")
                continue
            detail = _detail(fault.field, name)
            told = f"{detail} {fault.message}".strip()
            self.faults[name] = f"{self.faults[name]}; {told}" if name in self.faults else told


def empty() -> JobForm:
    """The form of a new job."""
    return JobForm(dict(_STARTING))


def of_job(job: Job) -> JobForm:
    """The form of a stored job."""
    spec = editable_json(job)
    retry, resources, notifications = spec["retry_policy"], spec["resources"], spec["notifications"]
    values = {
        **{name: spec[name] or "" for name in ("name", "description", "type", "timezone", "concurrency", "catch_up")},
        **{name: spec[name] or "" for name in ("priority", "script", "schedule", "image")},
        "schedule_kind": _kind(spec),
        "run_at": _local(job.spec.run_at, job.spec.timezone),
        "interval_seconds": str(spec["interval_seconds"] or ""),
        "timeout_minutes": _plain(job.spec.timeout_seconds / 60),
        "max_retries": str(retry["max_retries"]),
        "retry_delay_minutes": _plain(job.spec.retry_policy.retry_delay_seconds / 60),
        "exponential_backoff": "on" if retry["exponential_backoff"] else "",
        "jitter": "on" if retry["jitter"] else "",
        "cpu": resources["cpu"],
        "memory": resources["memory"],
        "arguments": "\n".join(_quoted(argument) for argument in spec["arguments"]),
        "env": lines_of(spec["env"]),
        "secrets": lines_of(spec["secrets"]),
        "on_failure": ", ".join(notifications["on_failure"]),
        "on_success": ", ".join(notifications["on_success"]),
        "slack_webhook": notifications["slack_webhook"] or "",
        "tags": ", ".join(spec["tags"]),
        "metadata": json.dumps(spec["metadata"], indent=2, ensure_ascii=False) if spec["metadata"] else "",
        "status": spec["status"],
        "version": str(job.version),
    }
    return JobForm(values)


def typed(given: Mapping[str, str]) -> JobForm:
    """The form as it was sent."""
    values = {name: given.get(name, "").replace("\r\n", "\n") for name in FIELDS}
    if values["schedule_kind"] not in KINDS:
        values["schedule_kind"] = _STARTING["schedule_kind"]
    values |= {name: "on" if given.get(name) else "" for name in _TICKED}
    values["status"] = "active" if given.get("status") else "disabled"
    return JobForm(values)


def draft(form: JobForm, present: Job | None = None) -> JobDraft:
    """What the form asks for, on top of what only JSON can say about the stored job."""
    document: dict[str, Any] = editable_json(present) if present else {}
    # The reader derives one from the other; the form knows only one of each.
    for derived in ("timeout_seconds", "timeout_minutes", "retry_policy"):
        document.pop(derived, None)
    document |= _document(form)
    return read_job(document)


def _document(form: JobForm) -> dict[str, Any]:
    get = form.value
    return {
        **{name: get(name) for name in ("type", "description", "concurrency", "catch_up", "priority", "status")},
        "name": get("name").strip(),
        "script": get("script"),
        "image": get("image").strip() or None,
        "timezone": get("timezone").strip() or "UTC",
        **_schedule(form),
        **_duration("timeout", get("timeout_minutes")),
        "retry_policy": {
            "max_retries": _number(get("max_retries") or "0"),
            **_duration("retry_delay", get("retry_delay_minutes")),
            "exponential_backoff": bool(get("exponential_backoff")),
            "jitter": bool(get("jitter")),
        },
        "resources": {"cpu": get("cpu").strip(), "memory": get("memory").strip()},
        "arguments": read_arguments(get("arguments")),
        "env": read_pairs(get("env")),
        "secrets": read_pairs(get("secrets")),
        "notifications": {
            "on_failure": _words(get("on_failure")),
            "on_success": _words(get("on_success")),
            "slack_webhook": get("slack_webhook").strip() or None,
        },
        "tags": _words(get("tags"), spaces=False),
        "metadata": _metadata(get("metadata")),
        "version": int(get("version")) if get("version").isdecimal() and len(get("version")) < 10 else None,
    }


def _schedule(form: JobForm) -> dict[str, Any]:
    """One of the three, or none: what was typed into the fields of another kind is kept there and does not count."""
    kind = form.value("schedule_kind")
    return {
        "schedule": form.value("schedule").strip() or None if kind == "cron" else None,
        "run_at": form.value("run_at").strip() if kind == "once" else None,
        "interval_seconds": _number(form.value("interval_seconds")) if kind == "interval" else None,
    }


def shown_at(path: str) -> str:
    """The field that a fault of the document belongs to: ``notifications.on_failure.0`` to ``on_failure``."""
    parts = path.split(".")
    if parts[0] in ("retry_policy", "resources", "notifications") and len(parts) > 1:
        parts = parts[1:]
    return _SHOWN_AT.get(parts[0], parts[0])


def _detail(path: str, name: str) -> str:
    """Which of several: the variable, or the place in the list."""
    last = path.rpartition(".")[2]
    if name not in ("env", "secrets", "arguments", "on_failure", "on_success", "tags") or "." not in path:
        return ""
    if last.isdecimal():
        return f"number {int(last) + 1}"
    return last if last != name else ""


def _kind(spec: Mapping[str, Any]) -> str:
    if spec["run_at"]:
        return "once"
    if spec["interval_seconds"]:
        return "interval"
    return "cron" if spec["schedule"] else "demand"


def _local(moment: datetime | None, timezone: str) -> str:
    """For ``<input type=datetime-local>``: the clock of the job's zone."""
    if moment is None:
        return ""
    return schedules.wall_time(moment, timezone).isoformat(timespec="seconds").removesuffix(":00")


def _duration(name: str, text: str) -> dict[str, Any]:
    """Minutes where they are whole, seconds where the platform can keep the fraction, the text where it is none."""
    if not text.strip():
        return {}
    minutes = _number(text)
    if isinstance(minutes, float) and 0 < minutes < 1e6 and round(minutes * 60) >= 1:
        return {f"{name}_seconds": round(minutes * 60)}
    return {f"{name}_minutes": minutes}


def _number(text: str) -> int | float | str:
    """The number, or the text for the reader to complain about."""
    text = text.strip()
    try:
        return int(text) if len(text) < 16 else text
    except ValueError:
        pass
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _plain(number: float) -> str:
    return f"{number:.4f}".rstrip("0").rstrip(".")


def _words(text: str, *, spaces: bool = True) -> list[str]:
    """A list that was typed with commas, semicolons or new lines (or spaces) in between."""
    for separator in ";\n" + (" " if spaces else ""):
        text = text.replace(separator, ",")
    return [word.strip() for word in text.split(",") if word.strip()]


def read_arguments(text: str) -> list[str]:
    """One on each line."""
    return [_unquoted(line) for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def read_pairs(text: str) -> dict[str, str]:
    """``NAME=value`` on each line; a line that begins with ``#`` is a remark."""
    return dict(_each_pair(text.replace("\r\n", "\n")))


def _each_pair(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, value = line.partition("=")
            yield name.strip(), _unquoted(value)


def lines_of(pairs: Mapping[str, str]) -> str:
    """What ``read_pairs`` reads back."""
    return "\n".join(f"{name}={_quoted(value)}" for name, value in pairs.items())


def _quoted(text: str) -> str:
    """As it is; what would not come back as one line, as a JSON string."""
    plain = text and text == text.strip() and "\n" not in text and "\r" not in text and not text.startswith('"')
    return text if plain else json.dumps(text, ensure_ascii=False)


def _unquoted(text: str) -> str:
    text = text.strip()
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text


def _metadata(text: str) -> Any:
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # The reader says what is wrong with a text in this place.
        return text
