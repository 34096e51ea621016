"""What holds for every page: accessible in both themes, usable on a telephone and by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from platform_api.web.navigation import ENTRIES
from tests.browser.conftest import Open
from tests.browser.test_use_cases import made, named, ran, write_script
from tests.browser.watch import must_be_accessible, picture, watch_of
from tests.running_platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

PAGES = [*(entry.path for entry in ENTRIES if entry.path != "/prefect"), "/jobs/new"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a_page_is_accessible(open_as: Open, path: str, dark: bool) -> None:
    page = await open_as("admin", path, dark=dark)
    await page.wait_for_load_state("networkidle")
    await must_be_accessible(page)
    await picture(page, f"page{path.replace('/', '-')}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_fits_a_telephone(open_as: Open, path: str) -> None:
    page = await open_as("admin", path, width=390)
    await page.wait_for_load_state("networkidle")
    await must_be_accessible(page)
    await picture(page, f"page{path.replace('/', '-')}-narrow")


async def test_a_job_and_its_run_fit_a_telephone_in_the_dark(open_as: Open, platform: Platform) -> None:
    with platform.client("maya") as client:
        job_id = made(client, named("Narrow"), script="raise SystemExit('no')", schedule="0 3 * * *")
        execution_id = ran(client, job_id)
    for path in (f"/jobs/{job_id}", f"/executions/{execution_id}"):
        page = await open_as("maya", path, width=390, dark=True)
        await page.wait_for_load_state("networkidle")
        await must_be_accessible(page)
        await picture(page, f"narrow-{path.split('/')[1]}")


async def test_the_menu_opens_and_closes_on_a_telephone(open_as: Open) -> None:
    page = await open_as("maya", "/jobs", width=390)
    button = page.get_by_role("button", name="Menu")
    await button.click()
    await expect(page.get_by_role("link", name="Dashboard")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(button).to_have_attribute("aria-expanded", "false")


async def test_the_theme_can_be_chosen_and_stays(open_as: Open) -> None:
    page = await open_as("maya", "/dashboard")
    await page.get_by_label("Account of").click()
    await page.get_by_role("button", name="Dark").click()
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_keys_lead_everywhere(open_as: Open) -> None:
    page = await open_as("maya", "/dashboard")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await must_be_accessible(page)
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("j")
    await page.wait_for_url("**/jobs")
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search", exact=True)).to_be_focused()


async def test_the_list_is_searched_as_one_types_and_the_address_says_so(open_as: Open, platform: Platform) -> None:
    word = named("Findable").replace(" ", "-")
    with platform.client("maya") as client:
        made(client, word)
    page = await open_as("maya", "/jobs")
    await page.get_by_label("Search", exact=True).fill(word)
    await expect(page.locator("#job-list tbody tr")).to_have_count(1)
    await page.wait_for_url(f"**/jobs?q={word}*")
    await page.reload()
    await expect(page.locator("#job-list tbody tr")).to_have_count(1)


async def test_several_jobs_are_tagged_at_once(open_as: Open, platform: Platform) -> None:
    mark = named("Bulk").replace(" ", "-")
    with platform.client("maya") as client:
        for n in range(3):
            made(client, f"{mark} {n}")
    page = await open_as("maya", f"/jobs?q={mark}")
    await page.get_by_label("Choose all jobs").check()
    await expect(page.locator(".bulk")).to_contain_text("3 chosen")
    await must_be_accessible(page)
    await picture(page, "bulk")
    await page.get_by_label("Tag to add").fill("nightly")
    await page.get_by_role("button", name="Add tag").click()
    await expect(page.get_by_role("status").first).to_contain_text("3 of 3")
    await expect(page.locator("#job-list a.tag")).to_have_count(3)


async def test_deleting_asks_first(open_as: Open, platform: Platform) -> None:
    name = named("Doomed")
    with platform.client("maya") as client:
        job_id = made(client, name)
    page = await open_as("maya", f"/jobs/{job_id}")
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("button", name="Delete …").click()
    dialog = page.get_by_role("dialog", name=re.compile("Delete"))
    await must_be_accessible(page)
    await picture(page, "delete")
    await dialog.get_by_role("button", name="Keep as it is").click()
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("button", name="Delete …").click()
    await dialog.get_by_role("button", name="Delete", exact=True).click()
    await page.wait_for_url("**/jobs")
    await expect(page.get_by_role("status").first).to_contain_text("is deleted")


async def test_the_schedule_is_built_in_words(open_as: Open) -> None:
    page = await open_as("maya", "/jobs/new")
    await page.get_by_role("button", name="Hourly").click()
    await expect(page.get_by_label("Cron expression")).to_have_value("0 * * * *")
    await page.get_by_text("Build it in words").click()
    await page.get_by_label("Run", exact=True).select_option("week")
    await page.get_by_label("At", exact=True).fill("06:45")
    await expect(page.get_by_label("Cron expression")).to_have_value("45 6 * * 1")
    await expect(page.locator("#schedule-preview")).to_contain_text("Monday")


async def test_a_field_that_is_filled_directly_reaches_the_editor(open_as: Open) -> None:
    page = await open_as("maya", "/jobs/new")
    await page.locator("[name=script]").fill("print('direct')")
    await expect(page.locator(".editor-host .cm-content")).to_have_text("print('direct')")
    await write_script(page, "print('typed')")
    await expect(page.locator("[name=script]")).to_have_value("print('typed')")


async def test_a_lost_connection_shows_itself_and_heals(open_as: Open) -> None:
    page = await open_as("maya", "/jobs")
    watch_of(page).expected += ["ERR_INTERNET_DISCONNECTED", "htmx:"]
    await page.context.set_offline(True)
    await page.get_by_label("Search", exact=True).fill("anything")
    await expect(page.get_by_role("alert").filter(has_text="The connection is lost")).to_be_visible()
    await picture(page, "lost")
    await page.context.set_offline(False)
    await expect(page.get_by_role("alert").filter(has_text="The connection is lost")).to_be_hidden()


async def test_an_error_page_says_what_next(open_as: Open) -> None:
    page = await open_as("maya", "/dashboard")
    watch_of(page).expected += ["404 (Not Found)", "403 (Forbidden)"]
    await page.goto("/jobs/01a204cb-742c-76de-bf35-a44db58d3168")
    await expect(page.get_by_text("What next?")).to_be_visible()
    await expect(page.locator("#request-id")).not_to_be_empty()
    await must_be_accessible(page)
    await picture(page, "error-404")
