"""What the loopback provider knows: its key, the codes it gave out, and what it says about a sample user.

It is a real OpenID Connect provider but for the password, so that the same msal code runs on a first try as in
production. It must never be reachable by others: ``web.loopback_provider`` serves loopback alone, and production
refuses it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from platform_api.identity.loopback.peers import MayBeScript
from platform_api.identity.sample_users import SAMPLE_PEOPLE
from platform_api.ports.clock import Clock

#: Where it is served, below the platform's own address.
PATH = "/loopback-idp"

CLIENT_ID = "job-platform"

CODE_HOLDS_FOR = timedelta(minutes=1)
TOKEN_HOLDS_FOR = timedelta(hours=1)

#: Codes that nobody fetched; more than this at once is nobody's first try.
MOST_CODES = 100

_KEY_ID = secrets.token_hex(8)
_KEY_LOCK = Lock()


class RequestRefused(Exception):
    """A request that a provider does not take; the text is OAuth's error code."""


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """Whom one can sign in as."""

    email: str
    name: str
    role: str
    team: str


PEOPLE = {email: SamplePerson(email, name, role.value, team) for email, name, role, team in SAMPLE_PEOPLE}


@dataclass(frozen=True, slots=True)
class _Code:
    """What stands behind an authorization code until it is exchanged, once."""

    email: str
    nonce: str | None
    challenge: str
    expires_at: datetime


class LoopbackProvider:
    """One provider for one client: this platform."""

    def __init__(self, base_url: str, clock: Clock, may_be_script: MayBeScript) -> None:
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        #: Such a peer gets no answer: a script would become whoever it likes.
        self.may_be_script = may_be_script
        self.client_secret = secrets.token_urlsafe(32)
        self._codes: dict[str, _Code] = {}
        self._lock = Lock()

    @property
    def issuer(self) -> str:
        """Its name. msal wants https; nothing is ever sent there but through ``transport``."""
        return f"https://{urlsplit(self._base_url).netloc}{PATH}"

    @property
    def redirect_uri(self) -> str:
        """The only place it leads back to."""
        return f"{self._base_url}/auth/callback"

    def discovery(self) -> dict[str, Any]:
        """``/.well-known/openid-configuration``."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self._base_url}{PATH}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self._base_url}{PATH}/end-session",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def jwks(self) -> dict[str, Any]:
        """Its public key."""
        key = RSAAlgorithm.to_jwk(_signing_key().public_key(), as_dict=True)
        return {"keys": [key | {"kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}

    def check_authorization(self, query: Mapping[str, str]) -> None:
        """Raise ``RequestRefused`` for a sign-in that this platform would not begin like this."""
        expected = {
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        if any(query.get(name) != value for name, value in expected.items()) or not query.get("code_challenge"):
            raise RequestRefused("invalid_request")

    def authorize(self, email: str, query: Mapping[str, str]) -> str:
        """Sign in as ``email``: the address to go back to, with a code."""
        self.check_authorization(query)
        if email not in PEOPLE:
            raise RequestRefused("access_denied")
        code, now = secrets.token_urlsafe(32), self._clock.now()
        with self._lock:
            self._codes = {known: held for known, held in self._codes.items() if held.expires_at > now}
            if len(self._codes) >= MOST_CODES:
                raise RequestRefused("temporarily_unavailable")
            self._codes[code] = _Code(email, query.get("nonce"), query["code_challenge"], now + CODE_HOLDS_FOR)
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': query.get('state', '')})}"

    def exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        """``/token``: an ID token and an access token for a code, its verifier and the client's secret."""
        if form.get("client_id") != CLIENT_ID or not _same(form.get("client_secret", ""), self.client_secret):
            raise RequestRefused("invalid_client")
        if form.get("grant_type") != "authorization_code":
            raise RequestRefused("unsupported_grant_type")
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at <= self._clock.now() or form.get("redirect_uri") != self.redirect_uri:
            raise RequestRefused("invalid_grant")
        if not _same(_challenge(form.get("code_verifier", "")), code.challenge):
            raise RequestRefused("invalid_grant")
        claims = self._claims(PEOPLE[code.email])
        return {
            "token_type": "Bearer",
            "expires_in": int(TOKEN_HOLDS_FOR.total_seconds()),
            "access_token": self._signed(claims),
            "id_token": self._signed(claims | ({"nonce": code.nonce} if code.nonce else {})),
        }

    def _claims(self, person: SamplePerson) -> dict[str, Any]:
        now = self._clock.now()
        return {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": person.email,
            "iat": int(now.timestamp()),
            "exp": int((now + TOKEN_HOLDS_FOR).timestamp()),
            "preferred_username": person.email,
            "name": person.name,
            "roles": [person.role],
            "groups": [person.team],
        }

    def _signed(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), _signing_key(), algorithm="RS256", headers={"kid": _KEY_ID})


@cache
def _generated_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _signing_key() -> rsa.RSAPrivateKey:
    """One per process, made at the first sign-in: a start need not wait for it."""
    with _KEY_LOCK:
        return _generated_key()


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("utf-8", errors="replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", errors="replace"), expected.encode())
