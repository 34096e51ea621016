"""A browser without a screen: keeps cookies, follows redirects, presses buttons."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from httpx import ASGITransport, AsyncClient, Response

from platform_api.main import create_app
from platform_api.use_cases.services import Services

BASE = "http://127.0.0.1:8080"

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_ACTION = re.compile(r'<form method="post" action="([^"]*)">')


def hidden_fields(page: Response) -> dict[str, str]:
    """What the page's form sends along."""
    return {unescape(name): unescape(value) for name, value in _HIDDEN.findall(page.text)}


class Browser:
    """One person's browser at an application on ``services``."""

    def __init__(self, services: Services, base_url: str = BASE, peer: str = "127.0.0.1") -> None:
        transport = ASGITransport(create_app(services.settings, services), client=(peer, 40_000))
        self.http = AsyncClient(transport=transport, base_url=base_url, follow_redirects=True, max_redirects=10)

    async def get(self, path: str, **rest: Any) -> Response:
        return await self.http.get(path, **rest)

    async def submit(self, page: Response, **fields: str) -> Response:
        """Press a button of the page's form."""
        action = unescape(_ACTION.findall(page.text)[0])
        own = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
        return await self.http.post(action, data=hidden_fields(page) | fields, headers=own)

    async def sign_in(self, email: str = "maya@example.com", next_path: str = "/api/docs") -> Response:
        """Through the loopback provider's page."""
        picking = await self.get("/login", params={"next": next_path})
        return await self.submit(picking, email=email)

    @property
    def session(self) -> str | None:
        """The session's cookie."""
        value: str | None = self.http.cookies.get("job_platform_session")
        return value

    async def close(self) -> None:
        await self.http.aclose()
