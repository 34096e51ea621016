"""A job's form: every field becomes what the contract says, and comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest

from platform_api.domain.errors import FieldError
from platform_api.domain.job_drafts import JobDraft
from platform_api.web import job_form

SENT = {"name": " Nightly ", "type": "shell", "script": "true\r\n", "schedule_kind": "cron", "schedule": " @daily "}


def drafted(**changed: str) -> JobDraft:
    """What the form asks for."""
    return job_form.draft(job_form.typed(job_form.empty().values | SENT | changed))


def test_a_form_becomes_the_contract_s_job() -> None:
    spec = drafted(tags="etl, nightly run", arguments="--full\n\n two words ", env="REGION=eu\n# a remark\nEMPTY=").spec
    assert (spec.name, spec.type, spec.script, spec.schedule) == ("Nightly", "shell", "true\n", "@daily")
    assert spec.tags == ("etl", "nightly run")
    assert spec.arguments == ("--full", "two words")
    assert spec.env == {"REGION": "eu", "EMPTY": ""}


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("cron", ("@daily", None, None)),
        ("interval", (None, None, 600)),
        ("demand", (None, None, None)),
        ("nonsense", ("@daily", None, None)),
    ],
)
def test_only_the_chosen_kind_of_schedule_counts(kind: str, kept: tuple[Any, ...]) -> None:
    spec = drafted(schedule_kind=kind, interval_seconds="600").spec
    assert (spec.schedule, spec.run_at, spec.interval_seconds) == kept


def test_a_date_is_on_the_clock_of_the_job_s_zone() -> None:
    spec = drafted(schedule_kind="once", run_at="2030-06-01T08:30", timezone="Europe/Berlin").spec
    assert spec.run_at is not None
    assert spec.run_at.tzinfo is None
    assert (spec.run_at.hour, spec.timezone) == (8, "Europe/Berlin")


@pytest.mark.parametrize(
    ("minutes", "seconds"), [("30", 1800), ("1.5", 90), ("1,5", 90), ("0.5", 30), ("", 3600), ("1440", 86_400)]
)
def test_a_timeout_may_be_a_part_of_a_minute(minutes: str, seconds: int) -> None:
    draft = drafted(timeout_minutes=minutes)
    assert draft.faults == ()
    assert draft.spec.timeout_seconds == seconds


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("timeout_minutes", "0", "timeout_minutes"),
        ("timeout_minutes", "1441", "timeout_minutes"),
        ("timeout_minutes", "soon", "timeout_minutes"),
        ("max_retries", "many", "max_retries"),
        ("retry_delay_minutes", "0", "retry_delay_minutes"),
        ("metadata", "{not json", "metadata"),
        ("concurrency", "sometimes", "concurrency"),
        ("priority", "urgent", "priority"),
        ("type", "perl", "type"),
    ],
)
def test_a_fault_is_told_at_its_field(field: str, value: str, shown: str) -> None:
    form = job_form.typed(job_form.empty().values | SENT | {field: value})
    form.blame(job_form.draft(form).faults)
    assert form.fault(shown)
    assert form.value(field) == value


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("timeout_seconds", "timeout_minutes"),
        ("retry_policy.max_retries", "max_retries"),
        ("retry_policy.retry_delay_seconds", "retry_delay_minutes"),
        ("resources.memory", "memory"),
        ("notifications.on_failure.2", "on_failure"),
        ("notifications.slack_webhook", "slack_webhook"),
        ("env.HOME", "env"),
        ("arguments.0", "arguments"),
        ("name", "name"),
    ],
)
def test_every_part_of_the_document_has_its_place_in_the_form(path: str, field: str) -> None:
    assert job_form.shown_at(path) == field


def test_a_fault_names_which_of_several() -> None:
    form = job_form.empty()
    form.blame([FieldError("notifications.on_failure.1", "is no e-mail address"), FieldError("env.1X", "is no name")])
    assert form.fault("on_failure") == "number 2 is no e-mail address"
    assert form.fault("env") == "1X is no name"


def test_what_has_no_field_is_told_above() -> None:
    form = job_form.empty()
    form.blame([FieldError("git", "is not supported yet")])
    assert form.general == ["git is not supported yet"]


@pytest.mark.parametrize("text", ["plain", " spaced ", 'q"uo"te', '"quoted"', "", "two\nlines", "tab\tinside", "é€"])
def test_every_value_survives_the_form(text: str) -> None:
    line = job_form.lines_of({"NAME": text})
    assert "\n" not in line
    assert job_form.read_pairs(line) == {"NAME": text}


def test_a_box_that_is_not_ticked_is_sent_by_nobody() -> None:
    sent = {name: value for name, value in (job_form.empty().values | SENT).items() if name != "status"}
    assert job_form.draft(job_form.typed(sent)).status == "disabled"
    assert job_form.draft(job_form.typed(sent | {"status": "active"})).status == "active"
