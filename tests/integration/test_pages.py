"""Pages over the application itself, without a browser: what they answer, to whom."""

from __future__ import annotations

import pytest

from tests.cast import Cast
from tests.pages import get_page


async def test_a_page_is_html_with_everything_from_here(cast: Cast) -> None:
    page = await get_page(cast.maya, "/dashboard")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "https://" not in page.text.replace("http://www.w3.org", "")
    assert " style=" not in page.text
    assert " onclick=" not in page.text


async def test_an_unknown_address_is_a_page_that_carries_the_request_id(cast: Cast) -> None:
    page = await get_page(cast.maya, "/nowhere", headers={"X-Request-ID": "look-for-me"})
    assert page.status_code == 404
    assert "look-for-me" in page.text
    assert "What next?" in page.text


async def test_a_machine_still_gets_a_problem_document(cast: Cast) -> None:
    answer = await cast.maya.get("/nowhere", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["app.js", "app.css", "theme.js"])
async def test_an_asset_is_compressed_and_kept_for_ever(cast: Cast, name: str) -> None:
    from platform_api.web.rendering import assets

    client = cast.maya.client
    answer = await client.get(assets.address(name), headers={"Accept-Encoding": "gzip, br"})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "br"
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("name", ["manifest.json", "..%2Fbuild.py", ".secret", "app-0.js"])
async def test_nothing_but_assets_is_served(cast: Cast, name: str) -> None:
    assert (await cast.maya.client.get(f"/static/{name}")).status_code == 404
