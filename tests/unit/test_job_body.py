"""Reading a job: every fault is told, with its field; what is sound comes through unchanged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_api.domain.job_records import Job
from platform_api.domain.job_rules import faults_of
from platform_api.domain.jobs import (
    CatchUp,
    Concurrency,
    JobSpec,
    JobType,
    Notifications,
    Priority,
    Resources,
)
from platform_api.domain.retries import RetryPolicy
from platform_api.rest.job_body import read_job
from platform_api.rest.job_json import spec_json
from platform_api.rest.merge_patch import merged
from tests.cast import hello


def faults(**changed: Any) -> dict[str, str]:
    """The faults of the smallest job with this changed, by field."""
    draft = read_job(hello(**changed))
    told = {fault.field.partition(".")[0] for fault in draft.faults}
    further = [fault for fault in faults_of(draft.spec) if fault.field.partition(".")[0] not in told]
    return {fault.field: fault.message for fault in [*draft.faults, *further]}


def test_the_smallest_job_has_the_contracts_defaults() -> None:
    spec = read_job(hello()).spec
    assert spec == JobSpec(name="Hello", type=JobType.PYTHON, script="print('hello')")
    assert (spec.timezone, spec.timeout_seconds, spec.retry_policy) == ("UTC", 3600, RetryPolicy(0, 300, False, False))


def test_bash_is_shell() -> None:
    assert read_job(hello(type="bash")).spec.type is JobType.SHELL


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"nmae": "x"}, "nmae", "not a known field"),
        ({"name": ""}, "name", "empty"),
        ({"name": " x"}, "name", "begin or end with a space"),
        ({"name": "x" * 201}, "name", "at most 200"),
        ({"name": "a\nb"}, "name", "one line"),
        ({"name": 5}, "name", "string"),
        ({"name": None}, "name", "string"),
        ({"name": "a\0b"}, "name", "NUL"),
        ({"name": "a\ud800b"}, "name", "surrogate"),
        ({"type": "perl"}, "type", "python"),
        ({"type": "webhook"}, "type", "not supported yet"),
        ({"type": "template"}, "type", "not supported yet"),
        ({"webhook": {"url": "https://x"}}, "webhook", "not supported yet"),
        ({"template": "t"}, "template", "not supported yet"),
        ({"script": None}, "script", "is required"),
        ({"script": " \n"}, "script", "empty"),
        ({"script": "a\0b"}, "script", "NUL"),
        ({"script": None, "script_url": "https://x/y.py"}, "script_url", "not supported yet"),
        ({"script": None, "git": {"url": "https://x", "path": "y"}}, "git", "not supported yet"),
        ({"script_url": "https://x/y.py"}, "script_url", "not supported yet"),
        ({"secrets": {"1A": "b"}}, "secrets.1A", "variable name"),
        ({"secrets": {"JOB_ID": "b"}}, "secrets.JOB_ID", "set by the platform"),
        ({"secrets": {"A": "b"}, "env": {"A": "c"}}, "secrets.A", "is in env, too"),
        ({"secrets": {"A": "no name"}}, "secrets.A", "letters, digits"),
        ({"secrets": {"A": ""}}, "secrets.A", "letters, digits"),
        ({"secrets": {"A": "x" * 65}}, "secrets.A", "64"),
        ({"secrets": {f"A{n}": "b" for n in range(51)}}, "secrets", "at most 50"),
        ({"secrets": {"A": {"value": "x"}}}, "secrets.A", "string"),
        ({"arguments": "--full"}, "arguments", "array"),
        ({"arguments": ["x" * 8193]}, "arguments.0", "at most"),
        ({"arguments": ["x"] * 257}, "arguments", "at most 256"),
        ({"env": {"1A": "x"}}, "env.1A", "variable name"),
        ({"env": {"A=B": "x"}}, "env.A=B", "variable name"),
        ({"env": {"JOB_ID": "x"}}, "env.JOB_ID", "set by the platform"),
        ({"env": {"A": 1}}, "env.A", "string"),
        ({"env": {"A": "x\0"}}, "env.A", "NUL"),
        ({"env": {"A": "x" * 32769}}, "env.A", "32 KiB"),
        ({"schedule": "* * * * *", "interval_seconds": 60}, "interval_seconds", "second schedule"),
        ({"run_at": "tomorrow"}, "run_at", "datetime"),
        ({"timeout_minutes": 0}, "timeout_minutes", "1 to 1440"),
        ({"timeout_minutes": 1441}, "timeout_minutes", "1 to 1440"),
        ({"timeout_minutes": "15"}, "timeout_minutes", "number"),
        ({"timeout_minutes": True}, "timeout_minutes", "number"),
        ({"timeout_seconds": 0}, "timeout_seconds", "86400"),
        ({"timeout_seconds": 86401}, "timeout_seconds", "86400"),
        ({"timeout_seconds": 10**30}, "timeout_seconds", "86400"),
        ({"timeout_minutes": 5, "timeout_seconds": 30}, "timeout_seconds", "contradicts timeout_minutes"),
        ({"retry_policy": {"max_retries": 6}}, "retry_policy.max_retries", "0 to 5"),
        ({"retry_policy": {"max_retries": -1}}, "retry_policy.max_retries", "0 to 5"),
        ({"retry_policy": {"retry_delay_minutes": 61}}, "retry_policy.retry_delay_minutes", "1 to 60"),
        ({"retry_policy": {"retry_delay_seconds": 0}}, "retry_policy.retry_delay_seconds", "1 to 3600"),
        ({"retry_policy": {"retries": 1}}, "retry_policy.retries", "not a known field"),
        ({"concurrency": "maybe"}, "concurrency", "skip"),
        ({"catch_up": "some"}, "catch_up", "latest"),
        ({"priority": 1}, "priority", "critical"),
        ({"resources": {"cpu": "lots"}}, "resources.cpu", "number of cores"),
        ({"resources": {"cpu": "0"}}, "resources.cpu", "number of cores"),
        ({"resources": {"memory": "2 GB"}}, "resources.memory", "amount"),
        ({"notifications": {"on_failure": ["nobody"]}}, "notifications.on_failure.0", "e-mail"),
        ({"notifications": {"slack_webhook": "http://x"}}, "notifications.slack_webhook", "https://"),
        ({"tags": ["a", "a"]}, "tags.1", "twice"),
        ({"tags": [""]}, "tags.0", "1 to 64"),
        ({"tags": [str(n) for n in range(21)]}, "tags", "at most 20"),
        ({"metadata": {"x": "y" * 4096}}, "metadata", "4 KiB"),
        ({"metadata": {"x": float("nan")}}, "metadata.x", "finite"),
        ({"metadata": {"x": "\0"}}, "metadata.x", "NUL"),
        ({"metadata": []}, "metadata", "object"),
        ({"status": "deleted"}, "status", "active"),
    ],
)  # fmt: skip
def test_a_fault_names_its_field_and_the_way_out(changed: dict[str, Any], field: str, words: str) -> None:
    found = faults(**changed)
    assert list(found) == [field]
    assert words in found[field]


def test_all_faults_are_told_at_once_whatever_their_kind() -> None:
    found = faults(type=1, timeout_minutes=0, tags=[""], env={"1": "x"}, foo=1)
    assert set(found) == {"type", "timeout_minutes", "tags.0", "env.1", "foo"}


def test_deep_nesting_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"x": deep}
    assert list(faults(metadata=deep)) == [".".join(["metadata", *["x"] * 50])]


@pytest.mark.parametrize(
    ("given_", "seconds"), [({"timeout_minutes": 1.5}, 90), ({"timeout_seconds": 7}, 7), ({}, 3600)]
)
def test_a_timeout_is_given_in_minutes_or_in_seconds(given_: dict[str, Any], seconds: int) -> None:
    assert read_job(hello(**given_)).spec.timeout_seconds == seconds


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
schedules = st.one_of(
    st.just({}),
    st.just({"schedule": "*/5 * * * *"}),
    st.integers(60, 10**6).map(lambda seconds: {"interval_seconds": seconds}),
    st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.just(UTC)).map(lambda moment: {"run_at": moment}),
)
specs = st.builds(
    lambda schedule, **rest: JobSpec(**schedule, **rest),
    schedule=schedules,
    name=words.map(lambda name: f"n{name}n"),
    type=st.sampled_from(JobType),
    description=words,
    script=words,
    arguments=st.lists(words, max_size=3).map(tuple),
    env=st.dictionaries(st.from_regex(r"[A-Z]{1,5}", fullmatch=True), words, max_size=3),
    timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
    timeout_seconds=st.integers(1, 86400),
    retry_policy=st.builds(RetryPolicy, st.integers(0, 5), st.integers(1, 3600), st.booleans(), st.booleans()),
    concurrency=st.sampled_from(Concurrency),
    catch_up=st.sampled_from(CatchUp),
    priority=st.sampled_from(Priority),
    resources=st.builds(Resources, st.sampled_from(["1", "500m"]), st.sampled_from(["2Gi", "64M"])),
    notifications=st.builds(Notifications, st.just(("a@example.com",)), st.just(()), st.none()),
    tags=st.sets(st.sampled_from(["etl", "nightly"])).map(tuple),
    metadata=st.dictionaries(words, st.one_of(st.none(), st.booleans(), st.integers(), words), max_size=3),
)


@given(specs)
def test_a_stored_job_is_read_back_unchanged(spec: JobSpec) -> None:
    assert JobSpec.from_json(spec.to_json()) == spec


@given(specs)
def test_what_an_answer_says_can_be_given_back_unchanged(spec: JobSpec) -> None:
    draft = read_job(spec_json(spec), repeats_answer=True)
    assert draft.faults == ()
    assert draft.spec == spec


@given(specs, st.booleans())
def test_patching_one_field_changes_that_field_only(spec: JobSpec, in_minutes: bool) -> None:
    patch = {"timeout_minutes": 7} if in_minutes else {"timeout_seconds": 420}
    changed = read_job(merged(spec_json(spec), patch)).spec
    assert changed.timeout_seconds == 420
    assert spec_json(changed) | {"timeout_seconds": 0, "timeout_minutes": 0} == spec_json(spec) | {
        "timeout_seconds": 0,
        "timeout_minutes": 0,
    }


def test_a_patch_with_null_removes_and_leaves_the_rest_of_an_object() -> None:
    target = {"env": {"A": "1", "B": "2"}, "image": "x", "retry_policy": {"max_retries": 1, "jitter": True}}
    patch = {"env": {"A": None, "C": "3"}, "image": None, "retry_policy": {"max_retries": 2}}
    assert merged(target, patch) == {
        "env": {"B": "2", "C": "3"},
        "retry_policy": {"max_retries": 2, "jitter": True},
    }


def test_a_users_own_keys_are_nobodys_twins() -> None:
    target = {"metadata": {"timeout_seconds": 1}}
    assert merged(target, {"metadata": {"timeout_minutes": 2}})["metadata"] == {
        "timeout_seconds": 1,
        "timeout_minutes": 2,
    }


def test_a_job_is_synced_pending_or_failed() -> None:
    def state(generation: int, synced: int, error: str | None) -> str:
        now = datetime.now(UTC)
        ids = dict.fromkeys(("id", "owner_id", "team_id"))
        job = Job(
            **ids,  # type: ignore[arg-type]
            spec=read_job(hello()).spec,
            status="active",  # type: ignore[arg-type]
            version=1,
            generation=generation,
            synced_generation=synced,
            sync_error=error,
            owner="",
            team="",
            prefect_deployment_id=None,
            created_at=now,
            updated_at=now,
            scheduled_since=now,
        )
        return job.sync_state.value

    assert [state(2, 2, None), state(2, 1, None), state(2, 1, "away"), state(2, 2, "old")] == [
        "synced",
        "pending",
        "failed",
        "synced",
    ]
