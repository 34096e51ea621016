"""The log as people follow, search and scroll it."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Open
from tests.browser.test_use_cases import made, named, ran
from tests.browser.watch import picture
from tests.running_platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

LONG = """
for number in range(120_000):
    print(f"{number:06d} INFO processed a batch of rows, all of them well, and nothing else to say about it")
    if number == 77_776:
        print("ERROR the needle in the hay")
"""

TALKS = """
import time
while True:
    print(f"\\x1b[32mgreen\\x1b[0m said at {time.time():.3f}", flush=True)
    time.sleep(0.2)
"""


async def test_a_line_is_on_the_screen_within_a_second(open_as: Open, platform: Platform) -> None:
    with platform.client("maya") as client:
        job_id = made(client, named("Talks"), script=TALKS)
        execution_id = client.post(f"/jobs/{job_id}/run").json()["execution_id"]
        page = await open_as("maya", f"/executions/{execution_id}")
        await expect(page.locator(".ansi-green").first).to_have_text("green")
        # The screen is looked at ten times: what it shows last was said less than a second (and a frame) ago.
        for _ in range(10):
            await page.wait_for_timeout(300)
            said = await page.locator(".log-row").last.inner_text()
            assert time.time() - float(said.rpartition(" ")[2]) < 1.3
        await picture(page, "log-live")
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
        await expect(page.locator("#summary")).to_contain_text("cancelled", timeout=20_000)


async def test_a_long_log_is_searched_and_scrolled_without_being_loaded(open_as: Open, platform: Platform) -> None:
    with platform.client("maya") as client:
        execution_id = ran(client, made(client, named("Long"), script=LONG))
    page = await open_as("maya", f"/executions/{execution_id}")
    await expect(page.locator(".log-row").first).to_contain_text("000000 INFO")
    await page.get_by_label("Search the log").fill("needle")
    await expect(page.locator(".log-hit")).to_contain_text("the needle in the hay")
    await expect(page.locator("[data-log-status]")).to_have_text("1 of 1 hits")
    await expect(page.locator(".log-hit mark")).to_have_text("needle")
    await picture(page, "log-hit")
    await page.locator(".log").press("End")
    await expect(page.locator(".log-row").last).to_contain_text("119999 INFO")
    await page.get_by_role("button", name="First error").click()
    await expect(page.locator(".log-hit")).to_contain_text("ERROR")
    assert await page.locator(".log-row").count() < 300
    box, last = await page.locator(".log").bounding_box(), None
    await page.locator(".log").press("End")
    await expect(page.locator(".log-row").last).to_contain_text("119999 INFO")
    last = await page.locator(".log-row").last.bounding_box()
    assert box is not None
    assert last is not None
    assert abs((last["y"] + last["height"]) - (box["y"] + box["height"])) < 20


async def test_wrapped_lines_keep_both_ends(open_as: Open, platform: Platform) -> None:
    script = "for n in range(400):\n    print(n, 'word ' * (n % 90))\n"
    with platform.client("maya") as client:
        execution_id = ran(client, made(client, named("Wrapped"), script=script))
    page = await open_as("maya", f"/executions/{execution_id}", width=700)
    await page.get_by_role("button", name="Wrap").click()
    await page.locator(".log").press("End")
    await expect(page.locator(".log-row").last).to_contain_text("399 word")
    await picture(page, "log-wrapped")
    await page.locator(".log").press("Home")
    await expect(page.locator(".log-row").first).to_contain_text("0")
    assert await page.locator(".log-number").first.inner_text() == "1"


async def test_attempts_are_tabs(open_as: Open, platform: Platform) -> None:
    script = "import os\nprint('attempt', os.environ['ATTEMPT'])\nraise SystemExit(os.environ['ATTEMPT'] == '1')\n"
    policy = {"max_retries": 1, "retry_delay_seconds": 1}
    with platform.client("maya") as client:
        execution_id = ran(client, made(client, named("Twice"), script=script, retry_policy=policy))
    page = await open_as("maya", f"/executions/{execution_id}")
    await expect(page.locator(".log-row")).to_have_count(2)
    await page.get_by_role("link", name="Attempt 2").click()
    await expect(page.locator(".log-row")).to_have_count(1)
    await expect(page.locator(".log-row")).to_contain_text("attempt 2")
    await picture(page, "attempts")
