"""The way from msal to the loopback provider: both are in this process, so no port and no certificate is needed."""

from __future__ import annotations

from urllib.parse import parse_qsl

import httpx

from platform_api.identity.loopback.provider import LoopbackProvider, RequestRefused


class LoopbackTransport(httpx.BaseTransport):
    """Answers requests to the provider's https addresses, as its doors answer them over HTTP."""

    def __init__(self, provider: LoopbackProvider) -> None:
        self._provider = provider

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The provider's answer; 404 for every other address."""
        address = str(request.url.copy_with(query=None))
        issuer = self._provider.issuer
        if request.method == "GET" and address == f"{issuer}/.well-known/openid-configuration":
            return httpx.Response(200, json=self._provider.discovery())
        if request.method == "GET" and address == f"{issuer}/jwks":
            return httpx.Response(200, json=self._provider.jwks())
        if request.method == "POST" and address == f"{issuer}/token":
            return self._token(dict(parse_qsl(request.read().decode())))
        return httpx.Response(404, json={"error": "not_found"})

    def _token(self, form: dict[str, str]) -> httpx.Response:
        try:
            return httpx.Response(200, json=self._provider.exchange(form))
        except RequestRefused as error:
            return httpx.Response(400, json={"error": str(error)})
