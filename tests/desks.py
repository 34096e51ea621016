"""Everybody of the cast at a desk of their own: ``await get_page(cast, "maya", "/jobs")``."""

from __future__ import annotations

from typing import Any

from httpx import Response

from tests.browsing import Browser
from tests.cast import Cast
from tests.pages import Pages, signed_in


async def _at_the_desk(cast: Cast, who: str) -> Pages:
    """A new browser each time: no cookie of one call is there in the next."""
    if who == "stranger":
        return Pages(Browser(cast.services))
    return await signed_in(cast, f"{who}@example.com")


async def get_page(cast: Cast, who: str, path: str, **rest: Any) -> Response:
    """A page, as that person sees it."""
    pages = await _at_the_desk(cast, who)
    try:
        return await pages.get(path, **rest)
    finally:
        await pages.browser.close()


async def send_form(cast: Cast, who: str, path: str, data: dict[str, Any] | None = None) -> Response:
    """A form that this person filled in and sent."""
    pages = await _at_the_desk(cast, who)
    try:
        return await pages.send(path, data)
    finally:
        await pages.browser.close()
