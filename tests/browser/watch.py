"""What a page must never do: complain, break its own policy, or ask another host."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ConsoleMessage, Page, Request

#: Kept as the run's artefacts, to be looked at.
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", Path(__file__).parents[2] / "build" / "screenshots"))


class Watch:
    """Listens to one page. ``expected`` names what a test provokes, such as an answer of 404."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.expected: list[str] = []
        self._told: list[str] = []
        self._host = urlsplit(base_url).netloc
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._told.append(f"script: {error}"))
        page.on("request", self._request)
        page.watch = self  # type: ignore[attr-defined]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._told.append(f"console: {message.text} ({message.location.get('url')})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self._host:
            self._told.append(f"another host: {request.url}")

    def must_be_silent(self) -> None:
        """Fail with everything that was heard and not expected."""
        heard = [told for told in self._told if not any(word in told for word in self.expected)]
        assert not heard, "\n".join(heard)


def watch_of(page: Page) -> Watch:
    """The watch that listens to the page."""
    watch: Watch = page.watch  # type: ignore[attr-defined]
    return watch


async def must_be_accessible(page: Page) -> None:
    """axe finds nothing, and nothing is wider than the screen."""
    results = await Axe().run(page)
    found = [
        f"{violation['id']}: {violation['help']}: " + "; ".join(node["html"][:160] for node in violation["nodes"][:4])
        for violation in results.response["violations"]
    ]
    assert not found, "\n".join(found)
    wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"the page is {wider} pixels wider than the screen"


async def picture(page: Page, name: str) -> None:
    """Keep a screenshot."""
    await page.screenshot(path=f"{SCREENSHOTS}/{name}.png", full_page=True)
