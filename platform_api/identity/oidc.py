"""An OpenID Connect provider through msal: Microsoft Entra ID in production, the loopback one on a first try.

msal blocks, so it runs in threads of its own: a provider that hangs takes none from anybody else. msal does not check
the ID token that it brings (only its nonce); ``TokenVerifier`` does.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msal  # type: ignore[import-untyped]
from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS  # type: ignore[import-untyped]
from msal.exceptions import MsalError  # type: ignore[import-untyped]

from platform_api.domain.errors import NotAuthenticated
from platform_api.identity.http import HttpClient
from platform_api.identity.provider_keys import ProviderKeys, fetch_published
from platform_api.identity.tokens import TokenVerifier
from platform_api.ports.clock import Clock
from platform_api.ports.identity import Claims, Departure, ProviderAway, SignInRefused

Result = TypeVar("Result")

#: Sign-ins that talk to the provider at once.
THREADS = 4

_SCOPES = ["email"]

#: What the provider's answer may say; the rest of the address is none of msal's business.
_ANSWER = ("code", "state", "error", "error_description")


@dataclass(frozen=True, slots=True)
class Registration:
    """This platform at the provider."""

    authority: str
    client_id: str
    client_secret: str | None
    #: Whom bearer tokens must be meant for.
    audience: str


class _Forgetful(msal.TokenCache):  # type: ignore[misc]
    """msal keeps the tokens of everybody who signs in; here nobody asks for them again."""

    def add(self, event: dict[str, Any], now: float | None = None) -> None:
        """Keep nothing."""


class OidcProvider:
    """``ports.identity.IdentityProvider`` for one registration."""

    def __init__(self, registration: Registration, http: HttpClient, clock: Clock) -> None:
        self._registration = registration
        self._http = http
        self._threads = ThreadPoolExecutor(THREADS, "identity")
        address = discovery_address(registration.authority)
        self._keys = ProviderKeys(lambda: self._in_thread(fetch_published, http, address), clock)
        self._verifier = TokenVerifier(self._keys)

    async def begin(self, redirect_uri: str) -> Departure:
        """Start msal's authorization-code flow; it asks the provider first, so one that is away is noticed here."""
        flow = await self._in_thread(self._begin, redirect_uri)
        return Departure(str(flow["auth_uri"]), flow)

    async def complete(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> Claims:
        """Who came back: state, code verifier and nonce are msal's to check, the ID token is ours."""
        given = {name: answer[name] for name in _ANSWER if name in answer}
        result = await self._in_thread(self._complete, dict(flow), given)
        if "error" in result:
            raise SignInRefused(f"The identity provider did not let you in ({result['error']}).")
        if "id_token" not in result:
            raise SignInRefused("The identity provider did not say who you are.")
        try:
            return await self._verifier.verify(result["id_token"], self._registration.client_id)
        except NotAuthenticated as error:
            raise SignInRefused(str(error)) from error

    async def claims_of(self, token: str) -> Claims:
        """Who a bearer token stands for."""
        return await self._verifier.verify(token, self._registration.audience)

    async def sign_out_address(self, return_to: str) -> str | None:
        """The provider's ``end_session`` endpoint; without it, or when it is not known now, None."""
        try:
            endpoint = (await self._keys.published()).end_session_endpoint
        except ProviderAway:
            return None
        if endpoint is None:
            return None
        query = {"post_logout_redirect_uri": return_to, "client_id": self._registration.client_id}
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def origins(self) -> tuple[str, ...]:
        """The authority's, and the sign-out endpoint's once it is known."""
        known = self._keys.known()
        addresses = [self._registration.authority, known.end_session_endpoint if known else None]
        return tuple(dict.fromkeys(_origin(address) for address in addresses if address))

    async def close(self) -> None:
        """Let go of connections and threads."""
        await self._keys.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    async def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *arguments))

    def _begin(self, redirect_uri: str) -> dict[str, Any]:
        # A form posted from the provider's site would not bring our SameSite=Lax cookie; the code in the address is
        # worth nothing without that cookie, the code verifier behind it and the client's secret, and only once.
        warnings.filterwarnings("ignore", "response_mode='form_post' is recommended", UserWarning)
        flow: dict[str, Any] = self._application().initiate_auth_code_flow(_SCOPES, redirect_uri=redirect_uri)
        return flow

    def _complete(self, flow: dict[str, Any], answer: dict[str, str]) -> dict[str, Any]:
        application = self._application()
        try:
            result: dict[str, Any] = application.acquire_token_by_auth_code_flow(flow, answer)
        except (httpx.HTTPError, MsalError, json.JSONDecodeError) as error:
            raise ProviderAway from error
        except (ValueError, RuntimeError, KeyError) as error:
            # msal's way to say that the state or the nonce is another one.
            raise SignInRefused("This answer does not belong to the sign-in that this browser began.") from error
        return result

    def _application(self) -> msal.ConfidentialClientApplication:
        """msal's client, made anew for each leg: it asks the provider for its addresses, and keeps nothing."""
        try:
            return msal.ConfidentialClientApplication(
                self._registration.client_id,
                client_credential=self._registration.client_secret,
                http_client=self._http,
                token_cache=_Forgetful(),
                **_authority(self._registration.authority),
            )
        except (httpx.HTTPError, MsalError, ValueError, KeyError, RuntimeError) as error:
            raise ProviderAway from error


def discovery_address(authority: str) -> str:
    """Where the provider's document is; Entra ID's own is that of its version 2.0."""
    base = authority.rstrip("/")
    if _is_entra(base) and not base.endswith("/v2.0"):
        base += "/v2.0"
    return f"{base}/.well-known/openid-configuration"


def _authority(address: str) -> dict[str, str]:
    """How msal wants to be told: Entra ID by its tenant, anybody else by the issuer's address."""
    base = address.rstrip("/")
    return {"authority": base.removesuffix("/v2.0")} if _is_entra(base) else {"oidc_authority": base}


def _is_entra(address: str) -> bool:
    return urlsplit(address).hostname in WELL_KNOWN_AUTHORITY_HOSTS


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
