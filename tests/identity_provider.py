"""An identity provider like Entra ID, in memory: it rotates keys, goes away, and issues what a test wants."""

from __future__ import annotations

import time
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from platform_api.identity.http import HttpClient, client_through
from platform_api.identity.oidc import OidcProvider, Registration
from platform_api.ports.clock import Clock

TENANT = "11111111-2222-4333-8444-555555555555"
OTHER_TENANT = "99999999-2222-4333-8444-555555555555"
AUTHORITY = f"https://idp.example/{TENANT}/v2.0"
CLIENT_ID = "the-platform"
AUDIENCE = "api://the-platform"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """The same key for the same name: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims_of(email: str = "mira@example.com", **changed: Any) -> dict[str, Any]:
    """What a sound access token says; a value of None leaves the claim out."""
    now = int(time.time())
    sound = {
        "iss": AUTHORITY,
        "aud": AUDIENCE,
        "sub": f"pairwise {email}",
        "oid": f"object of {email}",
        "tid": TENANT,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "preferred_username": email,
        "name": email.partition("@")[0].title(),
        "roles": ["Jobs.Creator"],
    }
    return {name: value for name, value in (sound | changed).items() if value is not None}


class TestProvider(httpx.BaseTransport):
    """Publishes the keys that are named in ``published``; signs with any."""

    __test__ = False

    def __init__(self, issuer: str = AUTHORITY) -> None:
        self.issuer = issuer
        self.published = ["first"]
        self.away = False
        self.requests: list[str] = []
        #: What ``/token`` answers with: claims of the ID token, changed by a test.
        self.id_claims: dict[str, Any] = {}
        self.token_forms: list[dict[str, str]] = []
        self.extra_keys: list[dict[str, Any]] = []

    def sign(self, claims: dict[str, Any], key: str = "first", **header: Any) -> str:
        """A token of ours."""
        return jwt.encode(claims, rsa_key(key), algorithm="RS256", headers={"kid": key} | header)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Discovery, keys, tokens; nothing while it is away."""
        path = request.url.path
        self.requests.append(path)
        if self.away:
            raise httpx.ConnectError("nobody there", request=request)
        if path.endswith("/.well-known/openid-configuration"):
            return httpx.Response(200, json=self._discovery())
        if path == "/keys":
            return httpx.Response(200, json={"keys": [self._jwk(name) for name in self.published] + self.extra_keys})
        if path == f"/{TENANT}/token":
            self.token_forms.append({name: given[0] for name, given in parse_qs(request.read().decode()).items()})
            token = self.sign(claims_of(aud=CLIENT_ID) | self.id_claims)
            return httpx.Response(200, json={"token_type": "Bearer", "access_token": "opaque", "id_token": token})
        return httpx.Response(404)

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": f"https://idp.example/{TENANT}/token",
            "jwks_uri": "https://idp.example/keys",
            "end_session_endpoint": "https://signout.example/end",
        }

    @staticmethod
    def _jwk(name: str) -> dict[str, Any]:
        return RSAAlgorithm.to_jwk(rsa_key(name).public_key(), as_dict=True) | {"kid": name, "use": "sig"}

    def fetches_of_keys(self) -> int:
        """How often the keys were asked for."""
        return self.requests.count("/keys")

    def client(self) -> HttpClient:
        """A client that reaches this provider alone."""
        return client_through(self)


def asking(provider: TestProvider, clock: Clock) -> OidcProvider:
    """The platform's side of ``provider``."""
    return OidcProvider(Registration(AUTHORITY, CLIENT_ID, "secret", AUDIENCE), provider.client(), clock)


def nonce_in(address: str) -> str:
    """The nonce that an address to the provider asks for."""
    return parse_qs(urlsplit(address).query)["nonce"][0]


def state_in(address: str) -> str:
    """And its state."""
    return parse_qs(urlsplit(address).query)["state"][0]
