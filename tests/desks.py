"""Everybody of the cast at a desk with a session: ``await get_page(cast, "maya", "/jobs")``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from httpx import Response
from sqlalchemy import select

from platform_api.db.schema import users
from platform_api.identity.sessions import csrf_token_of, hash_token, new_token
from platform_api.web.session import CSRF_FIELD, cookie_name
from tests.cast import Cast
from tests.pages import HTML

#: What a browser says about a form of ours; the address is that of the cast's own application.
OWN = {"Origin": "http://test", "Sec-Fetch-Site": "same-origin"}


async def get_page(cast: Cast, who: str, path: str, headers: dict[str, str] | None = None) -> Response:
    """A page, as that person sees it."""
    token = await _session(cast, who)
    return await _sent(cast, "GET", path, token, headers or {})


async def send_form(cast: Cast, who: str, path: str, data: dict[str, Any] | None = None) -> Response:
    """A form that this person filled in and sent."""
    token = await _session(cast, who)
    return await _sent(cast, "POST", path, token, OWN, data={CSRF_FIELD: csrf_token_of(token or "")} | (data or {}))


async def send_json(cast: Cast, who: str, path: str, body: Any, headers: dict[str, str]) -> Response:
    """What a script of a page sends."""
    token = await _session(cast, who)
    return await _sent(cast, "POST", path, token, {"Accept": "application/json"} | headers, json=body)


async def after(cast: Cast, who: str, redirect: Response) -> Response:
    """The page that a form's answer leads to, with its message."""
    flash = f"flash={redirect.cookies['flash']}"
    token = await _session(cast, who)
    return await _sent(cast, "GET", redirect.headers["location"], token, {}, cookie=flash)


async def _session(cast: Cast, who: str) -> str | None:
    """A session as sign-in makes it; a stranger has none."""
    if who == "stranger":
        return None
    token, now = new_token(), cast.services.clock.now()
    async with cast.engine.connect() as connection:
        user_id = await connection.scalar(select(users.c.id).where(users.c.email == cast.named(who).email))
    async with cast.services.uow() as uow:
        await uow.sessions.add(hash_token(token), user_id, now, now + timedelta(hours=1))
    return token


async def _sent(
    cast: Cast, method: str, path: str, token: str | None, headers: dict[str, str], cookie: str = "", **rest: Any
) -> Response:
    session = f"{cookie_name(cast.services.settings)}={token}" if token else ""
    client = cast.maya.client
    given = HTML | headers | {"Cookie": "; ".join(filter(None, (session, cookie)))}
    answer = await client.request(method, path, headers=given, **rest)
    # The whole cast shares one client: what one is told must not reach the next.
    client.cookies.clear()
    return answer
