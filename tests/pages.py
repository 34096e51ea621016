"""Asking for pages as a browser does."""

from __future__ import annotations

from typing import Any

from httpx import Response

from tests.cast import Actor


async def get_page(actor: Actor, path: str, headers: dict[str, str] | None = None, **rest: Any) -> Response:
    """A page, as the actor sees it."""
    given = {"Accept": "text/html"} | ({"X-API-Key": actor.key} if actor.key else {})
    return await actor.client.get(path, headers=given | (headers or {}), **rest)


async def send_form(
    actor: Actor, path: str, data: dict[str, Any] | None = None, headers: dict[str, str] | None = None, **rest: Any
) -> Response:
    """A form that was filled in and sent."""
    given = {"Accept": "text/html"} | ({"X-API-Key": actor.key} if actor.key else {})
    return await actor.client.post(path, data=data or {}, headers=given | (headers or {}), **rest)
