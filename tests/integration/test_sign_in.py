"""Signing in: msal's flow against the loopback provider over HTTP, and against one that misbehaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from httpx import Response
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.schema import audit_log, sessions, sign_ins, users
from platform_api.identity.loopback.provider import PEOPLE as PEOPLE_THERE
from platform_api.use_cases.sign_in import HOLDS_FOR
from tests.browsing import BASE, Browser, hidden_fields
from tests.cast import Cast, FixedClock, assemble_cast, services_on, settings_for_tests
from tests.identity_provider import CLIENT_ID, TestProvider, asking, claims_of, nonce_in, state_in

PEOPLE = [f"{name}@example.com" for name in ("admin", "maya", "nadia", "rajesh", "chris")]


@pytest.fixture
async def browser(cast: Cast) -> AsyncIterator[Browser]:
    """Somebody's browser on the embedded default."""
    browser = Browser(cast.services)
    yield browser
    await browser.close()


async def entries(cast: Cast, action: str) -> list[Any]:
    async with cast.engine.connect() as connection:
        query = select(audit_log).where(audit_log.c.action == action).order_by(audit_log.c.id)
        return list((await connection.execute(query)).all())


async def count(cast: Cast, table: Any) -> int:
    async with cast.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


@pytest.mark.parametrize("email", PEOPLE)
async def test_everybody_of_the_sample_can_sign_in(cast: Cast, browser: Browser, email: str) -> None:
    arrived = await browser.sign_in(email, "/api/docs?x=1")
    assert (arrived.status_code, str(arrived.url)) == (200, f"{BASE}/api/docs?x=1")
    assert browser.session
    (entry,) = await entries(cast, "session.started")
    assert (entry.actor_email, entry.outcome, entry.ip_address) == (email, "allowed", entry.ip_address)


async def test_the_page_has_one_button_for_each_of_them(browser: Browser) -> None:
    page = await browser.get("/login")
    assert page.url.path == "/loopback-idp/authorize"
    assert page.text.count("<button") == len(PEOPLE)
    assert all(f">{email}" in page.text for email in PEOPLE)


async def test_the_session_is_kept_as_a_hash_and_its_cookie_is_closed_to_scripts(cast: Cast, browser: Browser) -> None:
    page = await browser.get("/login")
    browser.http.follow_redirects = False
    back = await browser.submit(page, email="maya@example.com")
    arrived = await browser.get(back.headers["location"])
    cookie = next(value for value in arrived.headers.get_list("set-cookie") if "job_platform_session=" in value)
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Max-Age" not in cookie
    async with cast.engine.connect() as connection:
        (row,) = (await connection.execute(select(sessions))).all()
    assert browser.session is not None
    assert browser.session.encode() not in row.token_hash
    assert row.expires_at - row.created_at == timedelta(minutes=60)


async def test_over_https_the_cookies_are_bound_to_the_host(engine: AsyncEngine, tmp_path: Path) -> None:
    base = "https://jobs.example"
    provider = TestProvider()
    services = services_on(engine, settings_for_tests(home=tmp_path, base_url=base))
    identity = asking(provider, services.clock)
    cast = await assemble_cast(engine, services_on(engine, services.settings, identity=identity))
    browser = Browser(cast.services, base_url=base)
    browser.http.follow_redirects = False
    leaving = await browser.get("/login")
    assert parse_qs(urlsplit(leaving.headers["location"]).query)["redirect_uri"] == [f"{base}/auth/callback"]
    provider.id_claims = claims_of("maya@example.com", aud=CLIENT_ID, nonce=nonce_in(leaving.headers["location"]))
    state = state_in(leaving.headers["location"])
    arrived = await browser.get(f"/auth/callback?{urlencode({'code': 'c', 'state': state})}")
    cookies = leaving.headers.get_list("set-cookie") + arrived.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [
        "__Host-job_platform_sign_in",
        "__Host-job_platform_session",
        "__Host-job_platform_sign_in",
    ]
    assert all({"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; ")) for cookie in cookies)
    assert all("domain" not in cookie.lower() for cookie in cookies)
    assert arrived.headers["strict-transport-security"].startswith("max-age=")
    assert "signout.example" in arrived.headers["content-security-policy"]
    await browser.close()
    await identity.close()


class Elsewhere:
    """A platform with a provider that a test controls, and a browser that stops at every redirect."""

    def __init__(self, cast: Cast, provider: TestProvider) -> None:
        self.cast = cast
        self.provider = provider
        self.browser = Browser(cast.services)
        self.browser.http.follow_redirects = False

    async def leave(self, next_path: str = "/api/docs") -> str:
        """The provider's address that ``/login`` leads to."""
        answer = await self.browser.get("/login", params={"next": next_path})
        assert answer.status_code == 303
        return str(answer.headers["location"])

    async def arrive(self, address: str, claims: dict[str, Any] | None = None, **query: str) -> Response:
        """Come back from ``address`` as the provider would send the browser, but for ``query``."""
        sound = claims_of("maya@example.com", aud=CLIENT_ID, nonce=nonce_in(address))
        self.provider.id_claims = sound | (claims or {})
        given = {"code": "a code", "state": state_in(address)} | query
        return await self.browser.get(f"/auth/callback?{urlencode({k: v for k, v in given.items() if v})}")


@pytest.fixture
async def elsewhere(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    provider = TestProvider()
    services = services_on(engine, settings_for_tests(home=tmp_path))
    identity = asking(provider, services.clock)
    cast = await assemble_cast(engine, services_on(engine, services.settings, identity=identity))
    room = Elsewhere(cast, provider)
    yield room
    await room.browser.close()
    await identity.close()


async def test_a_sound_answer_signs_in(elsewhere: Elsewhere) -> None:
    arrived = await elsewhere.arrive(await elsewhere.leave())
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/api/docs")
    (form,) = elsewhere.provider.token_forms
    assert len(form["code_verifier"]) >= 43
    assert (form["client_secret"], form["code"]) == ("secret", "a code")


#: Claims of an ID token that must not sign anybody in.
BAD_ID_TOKENS: list[dict[str, Any]] = [
    {"nonce": "another"},
    {"nonce": None},
    {"aud": "somebody else"},
    {"iss": "https://evil.example"},
    {"tid": "99999999-2222-4333-8444-555555555555"},
    {"exp": 1},
    {"iat": 9_999_999_999},
    {"sub": None},
    {"preferred_username": None},
]


@pytest.mark.parametrize("claims", BAD_ID_TOKENS, ids=str)
async def test_a_bad_id_token_signs_nobody_in(elsewhere: Elsewhere, claims: dict[str, Any]) -> None:
    arrived = await elsewhere.arrive(await elsewhere.leave(), claims)
    assert arrived.status_code in (400, 403)
    assert elsewhere.browser.session is None
    assert await count(elsewhere.cast, sessions) == 0
    (entry,) = await entries(elsewhere.cast, "session.refused")
    assert entry.outcome == "denied"


@pytest.mark.parametrize(
    "query", [{"state": "another"}, {"state": ""}, {"code": ""}, {"code": "", "error": "access_denied"}], ids=str
)
async def test_an_answer_to_another_sign_in_is_refused(elsewhere: Elsewhere, query: dict[str, str]) -> None:
    arrived = await elsewhere.arrive(await elsewhere.leave(), **query)
    assert arrived.status_code == 400
    assert "Sign-in did not work" in arrived.text
    assert elsewhere.provider.token_forms == []
    assert await count(elsewhere.cast, sessions) == 0


async def test_words_of_the_provider_are_no_html(elsewhere: Elsewhere) -> None:
    arrived = await elsewhere.arrive(await elsewhere.leave(), code="", error="<script>alert(1)</script>")
    assert "<script>" not in arrived.text


async def test_an_answer_without_the_browser_that_left_is_refused(elsewhere: Elsewhere) -> None:
    address = await elsewhere.leave()
    elsewhere.browser.http.cookies.clear()
    assert (await elsewhere.arrive(address)).status_code == 400
    assert elsewhere.provider.token_forms == []


async def test_an_answer_counts_once(elsewhere: Elsewhere) -> None:
    address = await elsewhere.leave()
    cookie = elsewhere.browser.http.cookies.get("job_platform_sign_in")
    await elsewhere.arrive(address)
    elsewhere.browser.http.cookies.set("job_platform_sign_in", str(cookie), domain="127.0.0.1")
    assert (await elsewhere.arrive(address)).status_code == 400
    assert await count(elsewhere.cast, sign_ins) == 0


async def test_an_answer_that_comes_too_late_is_refused(elsewhere: Elsewhere) -> None:
    address = await elsewhere.leave()
    elsewhere.cast.clock.at = elsewhere.cast.clock.now() + HOLDS_FOR
    assert (await elsewhere.arrive(address)).status_code == 400


async def test_a_person_without_an_account_reads_why(elsewhere: Elsewhere) -> None:
    arrived = await elsewhere.arrive(await elsewhere.leave(), {"preferred_username": "x@example.com", "oid": "x"})
    assert arrived.status_code == 403
    assert "Why can&#39;t I see this?" in arrived.text
    (entry,) = await entries(elsewhere.cast, "session.refused")
    assert entry.actor_email == "x@example.com"


async def test_a_deactivated_person_is_refused(elsewhere: Elsewhere) -> None:
    async with elsewhere.cast.engine.begin() as connection:
        await connection.execute(update(users).where(users.c.email == "maya@example.com").values(is_active=False))
    assert (await elsewhere.arrive(await elsewhere.leave())).status_code == 403


async def test_with_the_provider_away_people_read_what_goes_on(elsewhere: Elsewhere) -> None:
    elsewhere.provider.away = True
    answer = await elsewhere.browser.get("/login", params={"next": "/jobs?q=a&b"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "Jobs go on running" in answer.text
    assert 'href="/login?next=/jobs%3Fq%3Da%26b"' in answer.text
    assert await count(elsewhere.cast, sign_ins) == 0
    elsewhere.provider.away = False
    assert (await elsewhere.browser.get("/login")).status_code == 303


async def test_a_provider_that_goes_away_on_the_way_back_is_no_failed_sign_in(elsewhere: Elsewhere) -> None:
    address = await elsewhere.leave()
    elsewhere.provider.away = True
    assert (await elsewhere.arrive(address)).status_code == 503
    assert await entries(elsewhere.cast, "session.refused") == []


async def test_a_session_goes_on_while_the_provider_is_away(elsewhere: Elsewhere) -> None:
    await elsewhere.arrive(await elsewhere.leave())
    elsewhere.provider.away = True
    answer = await elsewhere.browser.get("/login", params={"next": "/jobs"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs")


@pytest.mark.parametrize("given", ["https://evil.example", "//evil.example", "/\\evil.example", "/%09/evil.example"])
async def test_signing_in_leads_nobody_elsewhere(elsewhere: Elsewhere, given: str) -> None:
    answer = await elsewhere.browser.http.get(f"/login?next={given}")
    arrived = await elsewhere.arrive(str(answer.headers["location"]))
    assert arrived.headers["location"] == "/"


async def test_another_name_of_this_machine_comes_to_the_one_that_cookies_belong_to(cast: Cast) -> None:
    browser = Browser(cast.services, base_url="http://localhost:8080")
    browser.http.follow_redirects = False
    answer = await browser.get("/login", params={"next": "/jobs"})
    assert answer.headers["location"] == f"{BASE}/login?next=/jobs"
    await browser.close()


# --- the loopback provider itself ---


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.7", {}),
        ("203.0.113.9", {}),
        ("127.0.0.1", {"Host": "evil.example"}),
        ("127.0.0.1", {"Host": "jobs.company.example"}),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}),
    ],
)
async def test_the_loopback_provider_is_there_for_this_machine_alone(
    cast: Cast, browser: Browser, peer: str, headers: dict[str, str]
) -> None:
    sound = await browser.get("/login")
    stranger = Browser(cast.services, peer=peer)
    for path in (
        "/.well-known/openid-configuration",
        "/jwks",
        f"/authorize?{sound.url.query.decode()}",
        "/end-session",
    ):
        assert (await stranger.get(f"/loopback-idp{path}", headers=headers)).status_code == 404
    for path in ("/authorize", "/token"):
        fields = hidden_fields(sound) | {"email": "admin@example.com"}
        answer = await stranger.http.post(f"/loopback-idp{path}", data=fields, headers=headers)
        assert answer.status_code == 404
    await stranger.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": f"{BASE}/auth/callback.evil"},
        {"client_id": "other"},
        {"response_type": "token"},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"email": "root@example.com"},
    ],
    ids=str,
)
async def test_the_loopback_provider_answers_nobody_but_this_platform(
    browser: Browser, changed: dict[str, str]
) -> None:
    page = await browser.get("/login")
    answer = await browser.submit(page, **({"email": "maya@example.com"} | changed))
    assert answer.status_code == 400
    assert browser.session is None


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code": "invented"}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_grant"),
        ({"client_secret": "guessed"}, "invalid_client"),
        ({"client_id": "other"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
    ids=str,
)
async def test_a_code_is_worth_nothing_without_its_verifier(
    cast: Cast, browser: Browser, changed: dict[str, str], error: str
) -> None:
    page = await browser.get("/login")
    browser.http.follow_redirects = False
    back = await browser.submit(page, email="maya@example.com")
    code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
    async with cast.engine.connect() as connection:
        flow = (await connection.execute(select(sign_ins.c.flow))).scalar_one()
    assert cast.services.loopback is not None
    form = {
        "grant_type": "authorization_code",
        "client_id": "job-platform",
        "client_secret": cast.services.loopback.client_secret,
        "code": code,
        "redirect_uri": f"{BASE}/auth/callback",
        "code_verifier": flow["code_verifier"],
    }
    wrong = await browser.http.post("/loopback-idp/token", data=form | changed)
    assert (wrong.status_code, wrong.json()) == (400, {"error": error})


async def test_a_code_of_the_loopback_provider_counts_once(cast: Cast, browser: Browser) -> None:
    page = await browser.get("/login")
    browser.http.follow_redirects = False
    back = await browser.submit(page, email="maya@example.com")
    assert (await browser.get(back.headers["location"])).status_code == 303
    assert (await browser.get(back.headers["location"])).status_code == 400


async def test_its_access_token_opens_the_api(cast: Cast, browser: Browser) -> None:
    provider = cast.services.loopback
    assert provider is not None
    token = provider._signed(provider._claims(PEOPLE_THERE["maya@example.com"]))
    me = await browser.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["email"] == "maya@example.com"


async def test_signing_out_there_leads_back_here_and_nowhere_else(browser: Browser) -> None:
    browser.http.follow_redirects = False
    for wanted, there in (
        (f"{BASE}/logout", f"{BASE}/logout"),
        ("https://evil.example/", f"{BASE}/"),
        ("", f"{BASE}/"),
    ):
        answer = await browser.get("/loopback-idp/end-session", params={"post_logout_redirect_uri": wanted})
        assert answer.headers["location"] == there


@pytest.mark.parametrize("given", [{"environment": "production"}, {"oidc_authority": "https://idp.example/x"}], ids=str)
async def test_with_a_real_provider_or_in_production_there_is_no_loopback_provider(
    engine: AsyncEngine, tmp_path: Path, given: dict[str, str]
) -> None:
    settings = settings_for_tests(home=tmp_path, **given)
    provider = TestProvider()
    services = services_on(engine, settings, identity=asking(provider, FixedClock()))
    assert services.loopback is None
    browser = Browser(services)
    for path in ("/.well-known/openid-configuration", "/authorize", "/jwks"):
        assert (await browser.get(f"/loopback-idp{path}")).status_code == 404
    await browser.close()
