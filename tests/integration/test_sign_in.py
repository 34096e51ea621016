"""Signing in through msal and the loopback provider, over HTTP."""

from __future__ import annotations

from tests.browsing import Browser
from tests.cast import Cast


async def test_signing_in_leads_to_where_one_wanted_to_go(cast: Cast) -> None:
    browser = Browser(cast.services)
    picking = await browser.get("/login", params={"next": "/api/docs?x=1"})
    print(picking.status_code, picking.url, picking.text[:1500])
    arrived = await browser.submit(picking, email="maya@example.com")
    print(arrived.status_code, arrived.url, arrived.text[:300], browser.http.cookies)
    assert arrived.url.path == "/api/docs"
    assert browser.session
