"""Sign-in and bearer tokens against a provider that nobody here wrote (npm's `oauth2-mock-server`), over TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.main import create_app
from rbac.principal import Role
from rbac.role_map import Mapped
from tests.browsing import BASE
from tests.cast import services_on, settings_for_tests
from tests.oauth2_mock_server import MockServer, find_node, running

CLIENT_ID = "the-platform"

#: What this provider is told to say about the person who signs in; it calls everybody `johndoe`.
JOHN = {"preferred_username": "john@example.com", "name": "John", "groups": ["developers"]}


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    node = find_node()
    if node is None:
        pytest.skip("there is no Node.js with npm on this machine")
    with running(node, tmp_path_factory.mktemp("provider")) as server:
        yield server


class Platform:
    """The platform with that provider, and a browser that can reach both."""

    def __init__(self, engine: AsyncEngine, home: Path, another: MockServer, **changed: Any) -> None:
        given: dict[str, Any] = {
            "home": home,
            "oidc_authority": another.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr("secret"),
            "oidc_ca_file": another.ca_file,
            "oidc_role_map": {"developers": Mapped(Role.JOB_CREATOR, "devops")},
        }
        settings = settings_for_tests(**(given | changed))
        self.services = services_on(engine, settings)
        here = httpx.ASGITransport(create_app(settings, self.services))
        there = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=another.ca_file))
        self.browser = httpx.AsyncClient(
            base_url=BASE, follow_redirects=True, mounts={BASE: here, "https://localhost": there}, trust_env=False
        )

    async def close(self) -> None:
        await self.browser.aclose()
        await self.services.identity.close()

    async def me(self, token: str) -> httpx.Response:
        return await self.browser.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
async def platform_there(engine: AsyncEngine, tmp_path: Path, another: MockServer) -> AsyncIterator[Platform]:
    platform = Platform(engine, tmp_path, another)
    another.order("claims", JOHN)
    yield platform
    await platform.close()


def bearer(another: MockServer, kid: str | None = None, **changed: Any) -> str:
    payload = JOHN | {"sub": "johndoe", "aud": CLIENT_ID} | changed
    return str(another.order("issue", {"kid": kid, "payload": payload}))


async def test_signing_in_and_out(platform_there: Platform, another: MockServer) -> None:
    arrived = await platform_there.browser.get("/login", params={"next": "/api/docs"})
    assert [answer.url.path for answer in arrived.history] == ["/login", "/company/authorize", "/auth/callback"]
    assert (arrived.status_code, arrived.url.path) == (200, "/api/docs")
    async with platform_there.services.uow() as uow:
        account = await uow.accounts.by_email(another.issuer, "john@example.com")
    assert account is not None
    assert (account.principal.role, account.principal.team) == ("job_creator", "devops")
    page = await platform_there.browser.get("/logout")
    token = page.text.partition('value="')[2].partition('"')[0]
    ended = await platform_there.browser.post("/logout", data={"csrf_token": token})
    assert [answer.url.path for answer in ended.history] == ["/logout", "/company/endsession"]
    assert "You are signed out" in ended.text


@pytest.mark.parametrize(
    "changed",
    [{"nonce": "another"}, {"iss": "https://evil.example"}, {"aud": "else"}, {"exp": 1}, {"groups": []}],
    ids=str,
)
async def test_an_id_token_that_is_changed_signs_nobody_in(
    platform_there: Platform, another: MockServer, changed: dict[str, Any]
) -> None:
    another.order("claims", JOHN | changed)
    arrived = await platform_there.browser.get("/login")
    assert arrived.status_code in (400, 403)
    assert "job_platform_session" not in platform_there.browser.cookies


async def test_its_tokens_open_the_api(platform_there: Platform, another: MockServer) -> None:
    answer = await platform_there.me(bearer(another))
    assert (answer.status_code, answer.json()["email"]) == (200, "john@example.com")


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "else"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"nbf": 9_999_999_999},
    ],
    ids=str,
)
async def test_other_tokens_of_its_do_not(
    platform_there: Platform, another: MockServer, changed: dict[str, Any]
) -> None:
    another.order("claims", {})
    assert (await platform_there.me(bearer(another, **changed))).status_code == 401


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "RS512"])
async def test_keys_of_several_kinds_rotate_without_a_restart(
    platform_there: Platform, another: MockServer, algorithm: str
) -> None:
    assert (await platform_there.me(bearer(another))).status_code == 200
    kid = another.order("rotate", algorithm)
    assert (await platform_there.me(bearer(another, kid))).status_code == 200


async def test_a_certificate_that_nobody_vouches_for_is_no_provider(
    engine: AsyncEngine, tmp_path: Path, another: MockServer
) -> None:
    platform = Platform(engine, tmp_path, another, oidc_ca_file=None)
    assert (await platform.browser.get("/login")).status_code == 503
    assert (await platform.me(bearer(another))).status_code == 503
    await platform.close()


async def test_a_provider_without_tls_is_refused_at_the_start(
    engine: AsyncEngine, tmp_path: Path, another: MockServer
) -> None:
    with pytest.raises(RuntimeError, match="https"):
        Platform(engine, tmp_path, another, oidc_authority=another.issuer.replace("https:", "http:"))
