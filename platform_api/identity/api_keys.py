"""API keys: random, shown once, stored as a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

PREFIX = "jp_"

#: How much of a key may be shown, so that its owner can tell it from others.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key on its way to its owner; ``plaintext`` exists nowhere else."""

    plaintext: str = field(repr=False)
    prefix: str
    key_hash: bytes = field(repr=False)


def hash_key(plaintext: str, pepper: str) -> bytes:
    """The hash under which a key is stored: without the pepper a copy of the table opens nothing.

    A key has 256 random bits, so a slow password hash would add nothing but delay to each request.
    """
    return hmac.digest(pepper.encode(), plaintext.encode("utf-8", errors="replace"), hashlib.sha256)


def new_key(pepper: str) -> NewKey:
    """A fresh key."""
    plaintext = PREFIX + secrets.token_urlsafe(32)
    return NewKey(plaintext, plaintext[:SHOWN], hash_key(plaintext, pepper))
