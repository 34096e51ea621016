"""Which tokens are taken: a truth table, nearly all of it denials."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from platform_api.domain.errors import NotAuthenticated
from platform_api.identity.oidc import OidcProvider
from platform_api.identity.tokens import LEEWAY_SECONDS, person_of, tenant_of
from tests.cast import FixedClock
from tests.identity_provider import AUDIENCE, AUTHORITY, CLIENT_ID, OTHER_TENANT, TENANT, TestProvider, asking, rsa_key
from tests.identity_provider import claims_of as sound


def now() -> int:
    return int(time.time())


def encoded_text(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def encoded(part: dict[str, Any]) -> str:
    return encoded_text(json.dumps(part))


def unsigned(alg: str) -> str:
    return f"{encoded({'alg': alg, 'kid': 'first', 'typ': 'JWT'})}.{encoded(sound())}."


def public_pem() -> bytes:
    return rsa_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed_with_the_public_key(alg: str) -> str:
    """The old trick: a shared-secret signature, made with what everybody may read."""
    import hashlib
    import hmac

    head = f"{encoded({'alg': alg, 'kid': 'first'})}.{encoded(sound())}"
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[alg]
    signature = hmac.new(public_pem(), head.encode(), digest).digest()
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def by_ec_key() -> str:
    return jwt.encode(sound(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "first"})


def tampered(provider: TestProvider) -> str:
    head, _, signature = provider.sign(sound()).split(".")
    return f"{head}.{encoded(sound(roles=['Jobs.Admin']))}.{signature}"


def with_own_key_inside(provider: TestProvider) -> str:
    return provider.sign(sound(), "a thief's", kid="first", jwk=TestProvider._jwk("a thief's"))


TAKEN: list[tuple[str, Callable[[TestProvider], str]]] = [
    ("a sound token", lambda idp: idp.sign(sound())),
    ("several audiences, ours among them", lambda idp: idp.sign(sound(aud=["other", AUDIENCE]))),
    ("expired a moment ago", lambda idp: idp.sign(sound(exp=now() - LEEWAY_SECONDS // 2))),
    ("issued in a moment", lambda idp: idp.sign(sound(iat=now() + 5, nbf=now() + 5))),
    ("a tenant in capitals", lambda idp: idp.sign(sound(tid=TENANT.upper()))),
]

REFUSED: list[tuple[str, Callable[[TestProvider], str]]] = [
    ("expired", lambda idp: idp.sign(sound(exp=now() - LEEWAY_SECONDS - 5))),
    ("without an end", lambda idp: idp.sign(sound(exp=None))),
    ("without a beginning", lambda idp: idp.sign(sound(iat=None))),
    ("not valid yet", lambda idp: idp.sign(sound(nbf=now() + 300))),
    ("issued in the future", lambda idp: idp.sign(sound(iat=now() + 300))),
    ("another audience", lambda idp: idp.sign(sound(aud="api://other"))),
    ("the audience of the ID token", lambda idp: idp.sign(sound(aud=CLIENT_ID))),
    ("no audience", lambda idp: idp.sign(sound(aud=None))),
    ("an empty audience", lambda idp: idp.sign(sound(aud=[]))),
    ("another issuer", lambda idp: idp.sign(sound(iss="https://evil.example/v2.0"))),
    ("an issuer that begins alike", lambda idp: idp.sign(sound(iss=AUTHORITY + ".evil.example"))),
    ("version 1 of the issuer", lambda idp: idp.sign(sound(iss=f"https://sts.windows.net/{TENANT}/"))),
    ("no issuer", lambda idp: idp.sign(sound(iss=None))),
    ("another tenant", lambda idp: idp.sign(sound(tid=OTHER_TENANT))),
    ("no tenant", lambda idp: idp.sign(sound(tid=None))),
    ("no subject", lambda idp: idp.sign(sound(sub=None))),
    ("a foreign key under a known id", lambda idp: idp.sign(sound(), "a thief's", kid="first")),
    ("a key that nobody publishes", lambda idp: idp.sign(sound(), "a thief's")),
    ("its own key in its header", with_own_key_inside),
    ("no key id", lambda idp: jwt.encode(sound(), rsa_key("first"), algorithm="RS256")),
    ("alg none", lambda idp: unsigned("none")),
    ("alg None", lambda idp: unsigned("None")),
    ("RS256 without a signature", lambda idp: unsigned("RS256")),
    ("HS256 with the public key as secret", lambda idp: signed_with_the_public_key("HS256")),
    ("HS512 with the public key as secret", lambda idp: signed_with_the_public_key("HS512")),
    ("ES256 under the id of an RSA key", lambda idp: by_ec_key()),
    ("changed after signing", tampered),
    ("an unknown critical header", lambda idp: idp.sign(sound(), crit=["x"], x=1)),
    ("not a token", lambda idp: "abc"),
    ("three empty parts", lambda idp: ".."),
    ("not even text", lambda idp: "\udcff.a.b"),
    ("a header nested beyond reading", lambda idp: f"{encoded_text('[' * 20_000)}.e30.e30"),
    ("far too long", lambda idp: idp.sign(sound(groups=["x" * 100] * 500))),
]


@pytest.fixture
def idp() -> TestProvider:
    return TestProvider()


@pytest.fixture
async def platform_side(idp: TestProvider) -> OidcProvider:
    return asking(idp, FixedClock())


@pytest.mark.parametrize(("name", "make"), TAKEN, ids=[name for name, _ in TAKEN])
async def test_taken(idp: TestProvider, platform_side: OidcProvider, name: str, make: Any) -> None:
    claims = await platform_side.claims_of(make(idp))
    assert (claims.email, claims.subject) == ("mira@example.com", "object of mira@example.com")
    await platform_side.close()


@pytest.mark.parametrize(("name", "make"), REFUSED, ids=[name for name, _ in REFUSED])
async def test_refused(idp: TestProvider, platform_side: OidcProvider, name: str, make: Any) -> None:
    with pytest.raises(NotAuthenticated):
        await platform_side.claims_of(make(idp))
    await platform_side.close()


def test_the_tenant_is_that_of_the_issuer() -> None:
    assert tenant_of(f"https://login.microsoftonline.com/{TENANT}/v2.0") == TENANT
    assert tenant_of("https://idp.example/realms/company") is None


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"preferred_username": "a@example.com", "email": "chosen@example.com"}, "a@example.com"),
        ({"preferred_username": "a", "email": "a@example.com", "email_verified": True}, "a@example.com"),
        ({"email": "a@example.com"}, "a@example.com"),
        ({"upn": "a@example.com"}, "a@example.com"),
        ({"email": "chosen@example.com", "email_verified": False}, None),
        ({"email": "chosen@example.com", "email_verified": "true"}, None),
        ({"preferred_username": "a b@example.com"}, None),
        ({"preferred_username": ["a@example.com"]}, None),
        ({"preferred_username": "a" * 250 + "@example.com"}, None),
        ({}, None),
    ],
)
def test_which_address_is_believed(claims: dict[str, Any], email: str | None) -> None:
    assert person_of({"iss": "i", "sub": "s", "iat": now(), **claims}).email == email


def test_a_service_s_claims_of_a_wrong_shape_name_nobody() -> None:
    person = person_of({"iss": "i", "sub": "s", "iat": now(), "roles": "Jobs.Admin", "groups": [1, "g"], "name": 7})
    assert (person.names, person.name) == (frozenset({"g"}), None)
