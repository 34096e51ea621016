"""The product owner's use cases, step by step, as a person does them (UC-004 is a program's: see test_jobs_api)."""

from __future__ import annotations

import re
import uuid

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.watch import must_be_accessible, picture, watch_of
from tests.running_platform import Platform, wait_for_end

pytestmark = pytest.mark.xdist_group("platform")


def named(words: str) -> str:
    """A name that no other test uses."""
    return f"{words} {uuid.uuid4().hex[:6]}"


def made(client: httpx.Client, name: str, **changed: object) -> str:
    """A job of the client's; its id."""
    body = {"name": name, "type": "python", "script": "print('hello')", **changed}
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


def ran(client: httpx.Client, job_id: str) -> str:
    """A run of the job that is over; its id."""
    execution_id = str(client.post(f"/jobs/{job_id}/run").raise_for_status().json()["execution_id"])
    wait_for_end(client, execution_id)
    return execution_id


async def write_script(page: Page, text: str) -> None:
    """Type into the editor, in the place of what is there."""
    editor = page.get_by_role("textbox", name="Script", exact=True).first
    await editor.focus()
    await page.keyboard.press("Control+a")
    await page.keyboard.insert_text(text)


async def test_uc_001_a_recurring_backup_is_scheduled(open_as: Open, platform: Platform) -> None:
    name = named("Prod DB Backup - PostgreSQL")
    page = await open_as("maya", "/jobs")
    await page.get_by_role("link", name="New job").click()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_text("Python", exact=True).click()
    await page.get_by_label("Or upload a file").set_input_files(
        {"name": "backup.py", "mimeType": "text/x-python", "buffer": b"print('dumping')\n"}
    )
    await expect(page.locator("textarea[name=script]")).to_have_value("print('dumping')\n")
    await page.get_by_label("Cron expression").fill("0 25 * * *")
    await expect(page.locator(".preview-fault")).to_contain_text("hour")
    await page.get_by_label("Cron expression").fill("0 2 * * *")
    await expect(page.locator("#schedule-preview li")).to_have_count(5)
    await expect(page.locator("#schedule-preview li").first).to_contain_text("02:00:00")
    await page.get_by_label("Timeout").fill("30")
    await page.get_by_label("Retries").fill("2")
    await page.get_by_label("Wait between").fill("5")
    await expect(page.locator("#retry-preview li")).to_have_count(3)
    await page.get_by_label("When it fails").fill("devops-team@company.com")
    await must_be_accessible(page)
    await picture(page, "uc-001-form")
    await page.get_by_role("button", name="Save and activate").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await expect(page.get_by_role("status").first).to_contain_text("It runs next at")
    await picture(page, "uc-001-saved")
    with platform.client("maya") as client:
        job = client.get(page.url.rpartition("/jobs")[2].join(["/jobs", ""])).json()
    assert job["schedule"] == "0 2 * * *"
    assert job["timeout_minutes"] == 30
    assert job["retry_policy"]["max_retries"] == 2
    assert job["notifications"]["on_failure"] == ["devops-team@company.com"]


async def test_uc_001_a_fault_is_told_beside_the_field_and_can_be_mended(open_as: Open) -> None:
    page = await open_as("maya", "/jobs/new")
    watch_of(page).expected.append("400 (Bad Request)")
    name = named("Mended")
    await page.get_by_label("Name", exact=True).fill(name)
    await write_script(page, "echo 'what I typed'")
    await page.get_by_label("Cron expression").fill("61 2 * * *")
    await page.get_by_role("button", name="Save and activate").click()
    await expect(page.locator("#schedule-fault")).to_be_visible()
    await expect(page.get_by_label("Cron expression")).to_be_focused()
    await expect(page.locator("textarea[name=script]")).to_have_value("echo 'what I typed'")
    await must_be_accessible(page)
    await picture(page, "uc-001-fault")
    await page.get_by_label("Cron expression").fill("1 2 * * *")
    await page.get_by_role("button", name="Save and activate").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


async def test_uc_002_how_jobs_fare_is_seen_from_the_list_down_to_the_log(open_as: Open, platform: Platform) -> None:
    name = named("Watched")
    script = "import sys\nprint('fetched 3 rows')\nprint('one was odd', file=sys.stderr)\n"
    with platform.client("maya") as client:
        job_id = made(client, name, script=script, schedule="0 3 * * *")
        ran(client, job_id)
    page = await open_as("maya", f"/jobs?q={name.rpartition(' ')[2]}")
    row = page.get_by_role("row", name=re.compile(name))
    await expect(row.get_by_text("success")).to_be_visible()
    await picture(page, "uc-002-list")
    await row.get_by_role("link", name=name).click()
    for words in ("Success rate, 7 days", "Duration, 7 days", "Next run", "History", "Why hasn't it run?"):
        await expect(page.get_by_text(words, exact=True).first).to_be_visible()
    await expect(page.locator("#history tbody tr")).to_have_count(1)
    await expect(page.locator(".u-over")).to_be_visible()
    await must_be_accessible(page)
    await picture(page, "uc-002-job")
    await page.locator("#history tbody a").first.click()
    await expect(page.locator(".log-row")).to_have_count(2)
    await expect(page.locator(".log-stderr")).to_contain_text("one was odd")
    await page.get_by_role("button", name="Times").click()
    await expect(page.locator(".log-time").first).to_be_visible()
    await must_be_accessible(page)
    await picture(page, "uc-002-execution")


async def test_uc_003_a_failure_is_understood_mended_and_run_again(open_as: Open, platform: Platform) -> None:
    name = named("Needs a region")
    with platform.client("maya") as client:
        job_id = made(client, name, script="import os\nprint('region', os.environ['REGION'])\n")
        execution_id = ran(client, job_id)
    page = await open_as("maya", f"/executions/{execution_id}")
    await expect(page.get_by_role("alert").filter(has_text="KeyError")).to_be_visible()
    await page.get_by_role("button", name="First error").click()
    await expect(page.locator(".log-hit")).to_contain_text("Traceback")
    await picture(page, "uc-003-failed")
    await page.get_by_label("Where you are").get_by_role("link", name=name).click()
    await page.get_by_role("link", name="Edit").click()
    await page.get_by_text("Environment, resources and more").click()
    await page.get_by_label("Environment", exact=False).first.fill("REGION=eu")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_role("button", name="Run now").first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Run now").click()
    await expect(page.locator(".log-row").first).to_contain_text("region eu")
    await expect(page.locator("#summary")).to_contain_text("success")
    await picture(page, "uc-003-mended")


async def test_uc_005_a_lead_sees_the_team_and_changes_nothing(open_as: Open, platform: Platform) -> None:
    with platform.client("maya") as client:
        ran(client, made(client, named("Broken"), script="raise SystemExit('the disk is full')"))
    page = await open_as("chris", "/dashboard")
    for words in ("Jobs", "Runs, 24 hours", "Success rate, 7 days", "Needs attention"):
        await expect(page.get_by_text(words, exact=True).first).to_be_visible()
    await expect(page.get_by_text("the disk is full").first).to_be_visible()
    await expect(page.get_by_role("heading", name="Slowest jobs")).to_be_visible()
    await expect(page.get_by_role("link", name="New job")).to_have_count(0)
    await must_be_accessible(page)
    await picture(page, "uc-005-dashboard")
