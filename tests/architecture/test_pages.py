"""Every page needs a session and, for changes, the anti-forgery token; what does not is named here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from platform_api.main import create_app
from platform_api.web.session import protected
from tests.cast import settings_for_tests

#: Here people get their session, or lose it.
OPEN = {"/login", "/login/style.css", "/auth/callback"}

#: Doors of others than people with a session: the API's own, and files that say nothing about anybody.
NOT_PAGES = ("/api/", "/health", "/metrics", "/static/", "/loopback-idp/")

#: Prefect's own pages cannot send our token: a session, and where a change comes from, are asked for in another way.
DOORS = {"/prefect", "/prefect/{rest:path}"}


def pages() -> Iterator[tuple[str, str, Any]]:
    services: Any = object()
    app = create_app(settings_for_tests(), services)
    for route in iter_route_contexts(app.routes):
        if route.path and not route.path.startswith(NOT_PAGES) and route.path not in DOORS:
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                yield method, route.path, getattr(route, "dependant", None)


PAGES = list(pages())


def needs_a_session(dependant: Any) -> bool:
    calls = {needed.call for needed in dependant.dependencies} if dependant is not None else set()
    return protected in calls


def test_there_are_pages_to_look_at() -> None:
    assert ("POST", "/logout") in {(method, path) for method, path, _ in PAGES}


@pytest.mark.parametrize(("method", "path", "dependant"), PAGES, ids=[f"{method} {path}" for method, path, _ in PAGES])
def test_a_page_needs_a_session(method: str, path: str, dependant: Any) -> None:
    allowed_open = path in OPEN or (method, path) == ("GET", "/logout")
    assert needs_a_session(dependant) or (allowed_open and method == "GET")
