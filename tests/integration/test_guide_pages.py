"""The guides: every one of them is a page, and every link in them leads somewhere."""

from __future__ import annotations

import re

import pytest

from platform_api.web.guides import FOLDER, guides, search
from tests.cast import Cast
from tests.desks import get_page

NAMES = list(guides(FOLDER))


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_links_to_pages_that_are_there(name: str) -> None:
    html = guides()[name].html
    for target in re.findall(r'href="/docs/([^"#]*)', html):
        assert target in guides()
    assert not re.search(r'href="[^"]*\.md', html)
    assert "<script" not in html
    assert html.count("<a ") == html.count("</a>")


async def test_everybody_reads_them_and_strangers_do_not(cast: Cast) -> None:
    for name in ("maya", "chris"):
        assert (await get_page(cast, name, "/docs/explanation/logs")).status_code == 200
    assert (await get_page(cast, "stranger", "/docs")).status_code in (303, 401)


async def test_a_guide_that_is_not_there_is_a_page_that_says_so(cast: Cast) -> None:
    for path in ("/docs/explanation/nothing", "/docs/..%2Fplatform_api/main", "/docs/secret/logs"):
        assert (await get_page(cast, "maya", path)).status_code == 404


async def test_the_guides_are_searched(cast: Cast) -> None:
    assert "<mark>" in (await get_page(cast, "maya", "/docs?q=retries")).text
    assert "No guide says this" in (await get_page(cast, "maya", "/docs?q=xylophone")).text


def test_what_is_in_the_title_comes_first() -> None:
    hits = search(list(guides().values()), "logs")
    assert "logs" in hits[0].guide.title.lower()
