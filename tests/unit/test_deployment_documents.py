"""A job as the fields of a Prefect deployment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from deployments.documents import changeable_fields, deployment_name, new_deployment
from deployments.schedules import schedules_of
from deployments.work_pool import base_job_template
from platform_api.domain.jobs import JobSpec, JobStatus, JobType
from platform_api.ports.orchestrator import DeploymentIntent

NOW = datetime(2026, 11, 22, tzinfo=UTC)
INTENT = DeploymentIntent(
    job_id=UUID("01940000-0000-7000-8000-0000deadbeef"),
    version=7,
    spec=JobSpec(name="Nightly", type=JobType.SHELL, script="true"),
    status=JobStatus.ACTIVE,
    team="devops",
    owner="maya@example.com",
    page_url="https://jobs.example.com/jobs/x",
    deployment_id=None,
)


def named(name: str) -> DeploymentIntent:
    return replace(INTENT, spec=replace(INTENT.spec, name=name))


@pytest.mark.parametrize(
    ("name", "deployment"),
    [
        ("Nightly", "nightly-deadbeef"),
        ("Hourly API Ingestion - Salesforce", "hourly-api-ingestion-salesforce-deadbeef"),
        ("  /%&  ", "job-deadbeef"),
        ("Übertragung", "bertragung-deadbeef"),
        ("日本", "job-deadbeef"),
        ("x" * 300, "x" * 60 + "-deadbeef"),
    ],
)
def test_a_deployments_name_is_readable_and_holds_the_random_end_of_the_id(name, deployment):
    assert deployment_name(named(name)) == deployment


@pytest.mark.parametrize(
    ("status", "paused"), [(JobStatus.ACTIVE, False), (JobStatus.DISABLED, True), (JobStatus.DELETED, True)]
)
def test_only_an_active_job_is_not_paused(status, paused):
    assert changeable_fields(replace(INTENT, status=status))["paused"] is paused


def test_the_parameters_name_the_job_and_nothing_secret():
    secretive = replace(INTENT, spec=replace(INTENT.spec, env={"TOKEN": "hush"}, secrets={"A": "b"}))
    body = new_deployment(secretive, "flow", "local")
    assert body["parameters"] == {"job_id": str(INTENT.job_id)}
    assert "hush" not in str(body)
    assert "print" not in str(body)


def test_the_description_links_to_the_page_behind_the_jobs_own_words():
    described = replace(INTENT, spec=replace(INTENT.spec, description="Loads sales."))
    description = changeable_fields(described)["description"]
    assert description.startswith("Loads sales.\n\n")
    assert "(https://jobs.example.com/jobs/x)" in description


def test_schedules_stay_the_same_through_the_year():
    spec = replace(INTENT.spec, schedule="0 * * * *", timezone="Europe/Berlin")
    january, december = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert schedules_of(spec, january) == schedules_of(spec, december)


@pytest.mark.parametrize(
    ("schedule", "zone", "slugs"),
    [
        ("0 9 * * *", "Europe/Berlin", ["job"]),
        ("0 * * * *", "UTC", ["job"]),
        ("0 * * * *", "Europe/Berlin", ["clock-changes", "job"]),
        ("30 2 * * *", "Europe/Berlin", ["clock-changes", "job"]),
        ("0 * * * *", "Asia/Kolkata", ["job"]),
        (None, "Europe/Berlin", []),
    ],
)
def test_only_a_job_that_a_clock_change_touches_has_a_second_schedule(schedule, zone, slugs):
    spec = replace(INTENT.spec, schedule=schedule, timezone=zone)
    assert list(schedules_of(spec, NOW)) == slugs


def test_the_second_schedule_of_the_busiest_job_fits_into_prefect():
    spec = replace(INTENT.spec, schedule="* * * * *", timezone="Europe/Berlin")
    assert len(schedules_of(spec, NOW)["clock-changes"].rrule) <= 6500


def test_the_work_pools_template_is_one_that_prefect_takes():
    template = base_job_template()
    assert set(template) == {"job_configuration", "variables"}
    assert "env" in template["variables"]["properties"]
