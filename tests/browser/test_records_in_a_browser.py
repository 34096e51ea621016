"""Versions, dead letters, executions, the guides and the door to Prefect, as a person uses them."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Open
from tests.browser.test_use_cases import made, named, ran
from tests.browser.watch import must_be_accessible, picture, watch_of
from tests.running_platform import Platform

pytestmark = pytest.mark.xdist_group("platform")


async def test_two_versions_are_compared_and_the_first_comes_back(open_as: Open, platform: Platform) -> None:
    with platform.client("maya") as client:
        job_id = made(client, named("Versions"), script="import sys\nprint('old')\n")
        client.patch(f"/jobs/{job_id}", json={"script": "import sys\nprint('new')\n", "schedule": "0 3 * * *"})
    page = await open_as("maya", f"/jobs/{job_id}/versions")
    await expect(page.locator("del", has_text="old")).to_be_visible()
    await expect(page.locator("ins", has_text="new")).to_be_visible()
    await must_be_accessible(page)
    await picture(page, "versions")
    await page.get_by_role("button", name="Roll back to version 1").click()
    dialog = page.get_by_role("dialog", name="Roll back to version 1?")
    await must_be_accessible(page)
    await dialog.get_by_role("button", name="Roll back").click()
    await expect(page.get_by_text("Rolled back: version 3 says what version 1 said.")).to_be_visible()
    narrow = await open_as("maya", f"/jobs/{job_id}/versions?old=1&new=2", width=390, dark=True)
    await must_be_accessible(narrow)
    await picture(narrow, "versions-narrow")


async def test_a_dead_letter_is_dismissed_after_a_question(open_as: Open, platform: Platform) -> None:
    name = named("Dead letter")
    with platform.client("maya") as client:
        ran(client, made(client, name, script="raise SystemExit('no such table')"))
    page = await open_as("maya", "/dead-letters")
    await page.get_by_role("row", name=name).get_by_role("checkbox").check()
    await page.get_by_role("button", name="Dismiss").first.click()
    dialog = page.get_by_role("dialog", name="Dismiss 1 dead letters?")
    await must_be_accessible(page)
    await picture(page, "dead-letters-dismiss")
    await dialog.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_text("Dismissed: 1 of 1.")).to_be_visible()
    await expect(page.get_by_role("row", name=name)).to_have_count(0)


async def test_executions_are_filtered_as_one_types(open_as: Open, platform: Platform) -> None:
    wanted, other = named("Wanted"), named("Another")
    with platform.client("maya") as client:
        for name in (wanted, other):
            ran(client, made(client, name))
    page = await open_as("maya", "/executions")
    await expect(page.get_by_role("row", name=other)).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type(wanted)
    await expect(page.get_by_role("row", name=other)).to_have_count(0)
    await expect(page.get_by_role("row", name=wanted)).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download all as CSV").click()
    assert (await download.value).suggested_filename == "executions.csv"
    await page.get_by_label("Status").select_option("failed")
    await expect(page.get_by_text("No execution matches")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("row", name=wanted)).to_be_visible()


async def test_a_guide_is_found_and_read(open_as: Open) -> None:
    page = await open_as("chris", "/docs")
    await page.get_by_label("Search", exact=True).fill("masking")
    await expect(page.locator(".hits mark").first).to_be_visible()
    await must_be_accessible(page)
    await page.locator(".hits a").first.click()
    await page.wait_for_url("**/docs/*/*")
    await page.wait_for_load_state("networkidle")
    await must_be_accessible(page)
    await picture(page, "guide")


async def test_prefects_own_pages_open_for_an_administrator_without_a_password(
    open_as: Open, platform: Platform
) -> None:
    page = await open_as("admin", "/system")
    # What is Prefect's own is not ours to mend: only that it shows its runs.
    watch_of(page).expected += [""]
    await page.goto("/prefect/")
    await expect(page.get_by_text("Flow Runs").first).to_be_visible(timeout=30_000)
    await expect(page.locator("input[type=password]")).to_have_count(0)
    await picture(page, "prefect")


async def test_prefects_own_pages_are_our_history_for_others(open_as: Open) -> None:
    page = await open_as("maya", "/prefect/")
    await page.wait_for_url("**/executions")
