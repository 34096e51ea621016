"""The secret that a browser holds: random, kept by us as a hash, and the anti-forgery token made from it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode

_CSRF = b"job-platform csrf v1"


def new_token() -> str:
    """256 random bits, as a cookie can carry them."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """Under which it is stored: a copy of the table opens nothing, and 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", errors="replace")).digest()


def shown_id(token: str) -> str:
    """What the audit trail calls the session; nobody gets from there to the token."""
    return hash_token(token).hex()[:16]


def csrf_token_of(token: str) -> str:
    """What a form must send along: only who holds the session, or was given its page, can know it."""
    return urlsafe_b64encode(hmac.digest(token.encode("utf-8", errors="replace"), _CSRF, hashlib.sha256)).decode()


def csrf_token_holds(token: str, given: str) -> bool:
    """Whether ``given`` belongs to the session, compared in constant time."""
    return hmac.compare_digest(csrf_token_of(token).encode(), given.encode("utf-8", errors="replace"))
