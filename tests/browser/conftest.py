"""A real browser at a running platform; whatever goes wrong in a page fails the test that opened it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.browser.watch import Watch
from tests.running_platform import Platform

#: Debian's own; `make test` says what to install where it is missing.
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

Open = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for the whole run."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def open_as(chromium: Browser, platform: Platform) -> AsyncIterator[Open]:
    """``page = await open_as("maya", "/jobs", dark=True, width=390)``: signed in, and watched until the test ends."""
    async with AsyncExitStack() as stack:

        async def opened(who: str, path: str = "/", *, dark: bool = False, width: int = 1360, **more: Any) -> Page:
            look = {"color_scheme": "dark" if dark else "light", "viewport": {"width": width, "height": 900}}
            context = await stack.enter_async_context(_context(chromium, platform, **look, **more))
            page = await context.new_page()
            await stack.enter_async_context(_watched(page, platform.base_url))
            await sign_in(page, who)
            await page.goto(path)
            return page

        yield opened


async def sign_in(page: Page, who: str) -> None:
    """Through the page on which a sample user is picked."""
    await page.goto("/login")
    await page.get_by_role("button", name=f"{who}@example.com").click()
    await page.wait_for_url("**/")


@asynccontextmanager
async def _context(chromium: Browser, platform: Platform, **more: Any) -> AsyncIterator[BrowserContext]:
    given = {"base_url": platform.base_url, "timezone_id": "Europe/Berlin", "locale": "en-GB"}
    context = await chromium.new_context(**given | more)
    context.set_default_timeout(10_000)
    try:
        yield context
    finally:
        await context.close()


@asynccontextmanager
async def _watched(page: Page, base_url: str) -> AsyncIterator[Watch]:
    watch = Watch(page, base_url)
    yield watch
    watch.must_be_silent()
