"""Asking for pages as a browser does: with a session, and with the token that changes need."""

from __future__ import annotations

from typing import Any

from httpx import Response

from tests.browsing import BASE, Browser
from tests.cast import Cast

#: What a browser says about itself.
HTML = {"Accept": "text/html"}
OWN = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}


class Pages:
    """One person's pages, without a screen."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    async def get(self, path: str, headers: dict[str, str] | None = None, **rest: Any) -> Response:
        """A page; what redirects is not followed."""
        return await self.browser.http.get(path, headers=HTML | (headers or {}), follow_redirects=False, **rest)

    async def part(self, path: str, **rest: Any) -> Response:
        """What htmx would get."""
        return await self.get(path, headers={"HX-Request": "true"}, **rest)

    async def send(self, path: str, data: dict[str, Any] | None = None, **rest: Any) -> Response:
        """A form that was filled in and sent from one of our pages."""
        token = await self._token()
        given = {"csrf_token": token, **(data or {})}
        return await self.browser.http.post(path, data=given, headers=HTML | OWN, follow_redirects=False, **rest)

    async def _token(self) -> str:
        from tests.browsing import hidden_fields

        return hidden_fields(await self.get("/logout"))["csrf_token"]


async def signed_in(cast: Cast, email: str) -> Pages:
    """Somebody with a session."""
    browser = Browser(cast.services)
    await browser.sign_in(email)
    return Pages(browser)
