"""Tokens of the identity provider: signature, issuer, audience, times and tenant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import jwt

from platform_api.domain.errors import NotAuthenticated
from platform_api.identity.provider_keys import ALGORITHMS, ProviderKeys, Published
from platform_api.ports.identity import Claims

#: Clocks of two machines may differ by so much.
LEEWAY_SECONDS = 30

#: A person with hundreds of groups has a long token; a longer one than this is no token.
LONGEST_TOKEN = 32_768

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

#: What is said about a token that is not taken, first that fits.
_REFUSALS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "This token has expired."),
    (jwt.ImmatureSignatureError, "This token is not valid yet."),
    (jwt.InvalidIssuerError, "This token was issued by somebody else than this platform's identity provider."),
    (jwt.InvalidAudienceError, "This token is meant for another service."),
    (jwt.MissingRequiredClaimError, "This token lacks a claim that is needed."),
)


class TokenVerifier:
    """Says who a token stands for, or why it is not taken."""

    def __init__(self, keys: ProviderKeys) -> None:
        self._keys = keys

    async def verify(self, token: str, audience: str) -> Claims:
        """The person; raises ``NotAuthenticated`` with the reason, ``ProviderAway`` without a key to check it with."""
        key_id = _key_id(token)
        key = await self._keys.key(key_id)
        published = await self._keys.published()
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=audience,
                issuer=published.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise NotAuthenticated(_refusal(error)) from error
        _check_tenant(claims, published)
        return person_of(claims)


def _key_id(token: str) -> str:
    """The id of the key that the token names, before anything in it is believed."""
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise NotAuthenticated("This is not a token of an identity provider.")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError) as error:
        raise NotAuthenticated("This is not a token of an identity provider.") from error
    if header.get("alg") not in ALGORITHMS:
        raise NotAuthenticated("This token is not signed in a way that is taken.")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise NotAuthenticated("This token does not name the key it is signed with.")
    return key_id


def _refusal(error: jwt.PyJWTError) -> str:
    return next((words for kind, words in _REFUSALS if isinstance(error, kind)), "This token's signature is not valid.")


def tenant_of(issuer: str) -> str | None:
    """The tenant that an issuer's address names (Microsoft Entra ID), in lower case."""
    named = _GUID.search(urlsplit(issuer).path)
    return named.group().lower() if named else None


def _check_tenant(claims: Mapping[str, Any], published: Published) -> None:
    tenant = tenant_of(published.issuer)
    if tenant is not None and str(claims.get("tid", "")).lower() != tenant:
        raise NotAuthenticated("This token belongs to another tenant.")


def person_of(claims: Mapping[str, Any]) -> Claims:
    """What a checked token says about its person.

    The subject is Entra's ``oid`` where there is a tenant: ``sub`` differs there between a session and the API.
    The address is the name people sign in with; ``email`` only where nobody says that it is unverified, for in some
    directories people choose it themselves.
    """
    subject = claims.get("oid") if claims.get("tid") else None
    return Claims(
        issuer=claims["iss"],
        subject=str(subject or claims["sub"]),
        email=_email(claims),
        name=_text(claims.get("name")),
        names=frozenset(_texts(claims.get("roles")) + _texts(claims.get("groups"))),
        issued_at=datetime.fromtimestamp(int(claims["iat"]), UTC),
        groups_left_out="groups" in (claims.get("_claim_names") or {}) or claims.get("hasgroups") is True,
    )


def _email(claims: Mapping[str, Any]) -> str | None:
    verified = claims.get("email") if claims.get("email_verified", True) is True else None
    for given in (claims.get("preferred_username"), claims.get("upn"), verified):
        text = _text(given)
        if text is not None and re.fullmatch(r"[^@\s]+@[^@\s]+", text) and len(text) <= 254:
            return text
    return None


def _text(value: object) -> str | None:
    return value.strip()[:200] if isinstance(value, str) and value.strip() else None


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
