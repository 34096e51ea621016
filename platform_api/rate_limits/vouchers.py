"""Which credentials held lately, so that an address full of bad ones does not lock out the good ones behind it."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict

KEPT_SECONDS = 600.0
MOST = 10_000


class Vouchers:
    """Digests under a key of this process's own; the oldest goes when there are too many."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def add(self, credential: str) -> None:
        """Remember it for some minutes from now on."""
        digest = self._digest(credential)
        self._until[digest] = time.monotonic() + KEPT_SECONDS
        self._until.move_to_end(digest)
        if len(self._until) > MOST:
            self._until.popitem(last=False)

    def holds(self, credential: str) -> bool:
        """Whether it is remembered."""
        return self._until.get(self._digest(credential), 0.0) > time.monotonic()

    def _digest(self, credential: str) -> bytes:
        return hashlib.blake2b(credential.encode("utf-8", errors="replace"), key=self._key).digest()
