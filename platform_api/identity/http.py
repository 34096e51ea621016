"""How this process speaks to the identity provider: one client, with a time limit, for msal and for us."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

#: A provider that takes longer is away.
SECONDS = 5.0


class HttpClient:
    """An httpx client in the shape that msal asks for (``msal.oauth2cli.http.HttpClient``)."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> httpx.Response:
        """A GET; raises ``httpx.HTTPError`` when there is no answer."""
        return self._client.get(url, params=params, headers=headers)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> httpx.Response:
        """A POST of a form; raises ``httpx.HTTPError`` when there is no answer."""
        return self._client.post(url, params=params, data=data, headers=headers)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def client_for(ca_file: Path | None) -> HttpClient:
    """A client that trusts the usual authorities, or those of ``ca_file`` instead."""
    verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
    return HttpClient(httpx.Client(timeout=SECONDS, verify=verify, follow_redirects=False))


def client_through(transport: httpx.BaseTransport) -> HttpClient:
    """A client that reaches nothing but ``transport``."""
    return HttpClient(httpx.Client(timeout=SECONDS, transport=transport, trust_env=False))
