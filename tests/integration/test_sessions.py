"""A session of the web UI: begun anew at each sign-in, renewed by use, ended by time, sign-out or the account's end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Form, Request
from httpx import Response
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import JSONResponse

from platform_api.audit.actions import Action
from platform_api.db.schema import audit_log, sessions, users
from platform_api.identity.sessions import csrf_token_of, hash_token
from platform_api.web.session import CallerDependency, csrf_token, page, pages
from rbac.permissions import Permission
from tests.browsing import BASE, Browser
from tests.cast import Cast, assemble_cast, services_on, settings_for_tests

T0 = datetime(2030, 1, 1, 12, tzinfo=UTC)


def add_sample_pages(app: FastAPI) -> None:
    """Pages as any room of the web UI makes them."""
    router = pages()

    @router.get("/sample", **page(Permission.PROFILE_VIEW))
    async def look(request: Request, caller: CallerDependency) -> JSONResponse:
        return JSONResponse({"email": caller.principal.email, "via": caller.via, "csrf": csrf_token(request)})

    @router.post("/sample", **page(Permission.NOTIFICATION_READ, Action.NOTIFICATION_READ))
    async def change(caller: CallerDependency, word: str = Form("")) -> JSONResponse:
        return JSONResponse({"email": caller.principal.email, "word": word})

    @router.get("/sample/audit", **page(Permission.AUDIT_VIEW))
    async def audit() -> JSONResponse:
        return JSONResponse({})

    app.include_router(router)


class Room:
    """A person's browser at pages, with a clock that a test moves."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.browser = self.another_browser()
        self.cast.clock.at = T0

    def another_browser(self) -> Browser:
        browser = Browser(self.cast.services)
        add_sample_pages(browser.http._transport.app)  # type: ignore[attr-defined]
        return browser

    def later(self, **time: float) -> None:
        self.cast.clock.at += timedelta(**time)

    async def sign_in(self, email: str = "maya@example.com", browser: Browser | None = None) -> str:
        await (browser or self.browser).sign_in(email, "/sample")
        token = (browser or self.browser).session
        assert token is not None
        return token

    async def signed_in(self) -> bool:
        answer = await self.browser.http.get("/sample", follow_redirects=False)
        assert answer.status_code in (200, 303)
        return answer.status_code == 200

    async def stored(self) -> list[Any]:
        async with self.cast.engine.connect() as connection:
            return list((await connection.execute(select(sessions))).all())

    async def change(self, token: str | None, headers: dict[str, str] | None = None, **fields: str) -> Response:
        """A form's post; ``token`` is its anti-forgery token."""
        data = fields | ({"csrf_token": token} if token is not None else {})
        return await self.browser.http.post("/sample", data=data, headers=headers or {})


@pytest.fixture
async def room(cast: Cast) -> AsyncIterator[Room]:
    room = Room(cast)
    yield room
    await room.browser.close()


# --- its length ---


async def test_a_page_without_a_session_leads_to_sign_in_and_back(room: Room) -> None:
    answer = await room.browser.http.get("/sample?tab=1&q=a%20b", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/sample%3Ftab%3D1%26q%3Da%2520b")
    arrived = await room.browser.submit(await room.browser.get("/sample?tab=1&q=a%20b"), email="maya@example.com")
    assert str(arrived.url) == f"{BASE}/sample?tab=1&q=a%20b"


async def test_whoever_is_signed_in_acts_by_hand(room: Room) -> None:
    await room.sign_in()
    answer = (await room.browser.get("/sample")).json()
    assert (answer["email"], answer["via"]) == ("maya@example.com", "manual")


async def test_a_session_ends_after_sixty_minutes_without_a_request(room: Room) -> None:
    await room.sign_in()
    room.later(minutes=59, seconds=59)
    assert await room.signed_in()
    room.later(minutes=60)
    assert not await room.signed_in()


async def test_use_renews_it(room: Room) -> None:
    await room.sign_in()
    for _ in range(5):
        room.later(minutes=50)
        assert await room.signed_in()


async def test_use_writes_at_most_once_a_minute(room: Room) -> None:
    await room.sign_in()
    (before,) = await room.stored()
    room.later(seconds=59)
    assert await room.signed_in()
    assert (await room.stored())[0].expires_at == before.expires_at
    room.later(seconds=1)
    assert await room.signed_in()
    assert (await room.stored())[0].expires_at == before.expires_at + timedelta(minutes=1)


async def test_no_use_renews_it_past_twelve_hours(room: Room) -> None:
    await room.sign_in()
    for _ in range(23):
        room.later(minutes=30)
        assert await room.signed_in()
    room.later(minutes=30)
    assert not await room.signed_in()


async def test_its_length_is_a_setting(engine: AsyncEngine, tmp_path: Path) -> None:
    settings = settings_for_tests(home=tmp_path, session_minutes=5)
    room = Room(await assemble_cast(engine, services_on(engine, settings)))
    await room.sign_in()
    room.later(minutes=5)
    assert not await room.signed_in()
    await room.browser.close()


# --- its beginning ---


async def test_a_session_that_somebody_planted_is_not_taken_over(room: Room) -> None:
    room.browser.http.cookies.set("job_platform_session", "planted", domain="127.0.0.1")
    token = await room.sign_in()
    assert token != "planted"
    room.browser.http.cookies.set("job_platform_session", "planted", domain="127.0.0.1")
    assert not await room.signed_in()


async def test_signing_in_again_ends_the_session_from_before(room: Room) -> None:
    """A session that is carried into a sign-in (which ran out meanwhile, say) does not live on beside the new one."""
    old = await room.sign_in("chris@example.com")
    thief = room.another_browser()
    picking = await thief.get("/login")
    thief.http.cookies.set("job_platform_session", old, domain="127.0.0.1")
    await thief.submit(picking, email="maya@example.com")
    assert [bytes(row.token_hash) for row in await room.stored()] != [hash_token(old)]
    assert not await room.signed_in()
    await thief.close()


async def test_two_browsers_have_two_sessions(room: Room) -> None:
    other = room.another_browser()
    assert await room.sign_in() != await room.sign_in(browser=other)
    assert len(await room.stored()) == 2
    await other.close()


async def test_expired_sessions_are_forgotten_at_the_next_sign_in(room: Room) -> None:
    await room.sign_in()
    room.later(hours=2)
    await room.sign_in("chris@example.com")
    assert len(await room.stored()) == 1


# --- its end ---


async def test_signing_out_ends_it_here_and_there(room: Room) -> None:
    token = await room.sign_in()
    room.browser.http.follow_redirects = False
    answer = await room.browser.http.post("/logout", data={"csrf_token": csrf_token_of(token)})
    assert answer.headers["location"].startswith(f"{BASE}/loopback-idp/end-session?post_logout_redirect_uri=")
    assert room.browser.session is None
    assert await room.stored() == []
    end = await room.browser.get((await room.browser.get(answer.headers["location"])).headers["location"])
    assert (end.url.path, end.status_code, "You are signed out" in end.text) == ("/logout", 200, True)
    room.browser.http.cookies.set("job_platform_session", token, domain="127.0.0.1")
    assert not await room.signed_in()


async def test_sign_in_and_sign_out_are_in_the_trail(room: Room) -> None:
    token = await room.sign_in()
    await room.browser.http.post("/logout", data={"csrf_token": csrf_token_of(token)})
    async with room.cast.engine.connect() as connection:
        query = select(audit_log).where(audit_log.c.resource_type == "session").order_by(audit_log.c.id)
        began, ended = (await connection.execute(query)).all()
    assert (began.action, ended.action) == ("session.started", "session.ended")
    assert began.actor_email == ended.actor_email == "maya@example.com"
    assert began.resource_id == ended.resource_id == hash_token(token).hex()[:16]


async def test_signing_out_asks_for_the_token_as_every_change(room: Room) -> None:
    await room.sign_in()
    assert (await room.browser.http.post("/logout")).status_code == 403
    assert await room.signed_in()


async def test_the_page_of_sign_out_asks_whom_it_would_end(room: Room) -> None:
    await room.sign_in()
    asked = await room.browser.get("/logout")
    assert "Sign out?" in asked.text
    ended = await room.browser.submit(asked)
    assert "You are signed out" in ended.text


async def test_a_deactivated_person_s_session_opens_nothing(room: Room) -> None:
    await room.sign_in()
    async with room.cast.engine.begin() as connection:
        await connection.execute(update(users).where(users.c.email == "maya@example.com").values(is_active=False))
    assert not await room.signed_in()


async def test_a_new_role_holds_at_once(room: Room) -> None:
    await room.sign_in()
    assert (await room.browser.get("/sample/audit")).status_code == 403
    async with room.cast.engine.begin() as connection:
        await connection.execute(update(users).where(users.c.email == "maya@example.com").values(role="admin"))
    assert (await room.browser.get("/sample/audit")).status_code == 200


async def test_all_sessions_of_a_person_can_be_ended(room: Room) -> None:
    await room.sign_in()
    async with room.cast.engine.connect() as connection:
        user_id = (await connection.execute(select(users.c.id).where(users.c.email == "maya@example.com"))).scalar_one()
    async with room.cast.services.uow() as uow:
        assert await uow.sessions.remove_of(user_id) == 1
    assert not await room.signed_in()


@pytest.mark.parametrize("cookie", ["", "x", "a" * 5000, "\x7f", "%00", "' OR 1=1 --"])
async def test_an_invented_session_is_none(room: Room, cookie: str) -> None:
    answer = await room.browser.http.get(
        "/sample", headers={"Cookie": f"job_platform_session={cookie}"}, follow_redirects=False
    )
    assert answer.status_code == 303


# --- changes come from our own pages ---


async def test_a_form_with_the_session_s_token_is_taken(room: Room) -> None:
    token = await room.sign_in()
    answer = await room.change(csrf_token_of(token), {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}, word="hello")
    assert (answer.status_code, answer.json()["word"]) == (200, "hello")


async def test_a_script_may_send_it_as_a_header(room: Room) -> None:
    await room.sign_in()
    token = (await room.browser.get("/sample")).json()["csrf"]
    answer = await room.change(None, {"X-CSRF-Token": token})
    assert answer.status_code == 200


async def test_a_file_may_come_with_it(room: Room) -> None:
    token = csrf_token_of(await room.sign_in())
    files = {"csrf_token": (None, token), "word": (None, "w"), "file": ("a.txt", b"content")}
    assert (await room.browser.http.post("/sample", files=files)).json()["word"] == "w"


#: What other sites, and forms from another session, send. Each is refused though the cookie is sound.
FORGED: list[tuple[str | None, dict[str, str]]] = [
    (None, {}),
    ("", {}),
    ("guessed", {}),
    ("ü", {}),
    ("of another session", {}),
    ("sound", {"Origin": "https://evil.example"}),
    ("sound", {"Origin": "null"}),
    ("sound", {"Origin": "http://127.0.0.1:9999"}),
    ("sound", {"Origin": "http://127.0.0.1:8080.evil.example"}),
    ("sound", {"Sec-Fetch-Site": "cross-site"}),
    ("sound", {"Sec-Fetch-Site": "same-site"}),
    (None, {"X-CSRF-Token": "guessed"}),
    (None, {"X-CSRF-Token": ""}),
]


@pytest.mark.parametrize(("kind", "headers"), FORGED, ids=str)
async def test_a_forged_change_is_refused(room: Room, kind: str | None, headers: dict[str, str]) -> None:
    other = room.another_browser()
    of_another = csrf_token_of(await room.sign_in("chris@example.com", other))
    own = csrf_token_of(await room.sign_in())
    token = {"sound": own, "of another session": of_another}.get(kind or "", kind)
    answer = await room.change(token, headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    await other.close()


async def test_a_change_without_a_session_leads_to_sign_in(room: Room) -> None:
    answer = await room.browser.http.post("/sample", data={"csrf_token": csrf_token_of("x")}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


async def test_a_script_without_a_session_is_told_where_to_go(room: Room) -> None:
    answer = await room.browser.http.get("/sample", headers={"HX-Request": "true"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


# --- what the API thinks of cookies, and what every answer says ---


async def test_the_api_takes_no_session(room: Room) -> None:
    token = await room.sign_in()
    assert (await room.browser.get("/api/v1/users/me")).status_code == 401
    answer = await room.browser.http.post("/api/v1/jobs", json={}, headers={"X-CSRF-Token": csrf_token_of(token)})
    assert answer.status_code == 401


async def test_a_page_takes_no_key(room: Room) -> None:
    answer = await room.browser.http.get(
        "/sample", headers={"X-API-Key": str(room.cast.maya.key)}, follow_redirects=False
    )
    assert answer.status_code == 303


PATHS = [
    "/login",
    "/logout",
    "/auth/callback",
    "/sample",
    "/nowhere",
    "/api/v1/jobs",
    "/health/live",
    "/login/style.css",
]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_tells_browsers_to_stay_here(room: Room, path: str) -> None:
    answer = await room.browser.http.get(path, follow_redirects=False, headers={"Origin": "https://evil.example"})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "permissions-policy" in answer.headers
    assert "strict-transport-security" not in answer.headers
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


async def test_no_site_is_told_that_it_may_ask(room: Room) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await room.browser.http.options("/api/v1/jobs", headers=asked)
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


async def test_pages_are_kept_by_no_cache(room: Room) -> None:
    await room.sign_in()
    for path in ("/logout", "/login"):
        answer = await room.browser.http.get(path, follow_redirects=False)
        assert answer.headers["cache-control"] == "no-store"


async def test_nobody_is_counted_twice(room: Room) -> None:
    """One sign-in is one session and one entry, whatever the browser did on the way."""
    await room.sign_in()
    async with room.cast.engine.connect() as connection:
        query = select(func.count()).where(audit_log.c.action == "session.started")
        assert await connection.scalar(query) == 1
    assert len(await room.stored()) == 1
