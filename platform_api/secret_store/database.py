"""Values in our own database by envelope encryption (AES-256-GCM).

Each version has a data key of its own; the value is sealed under it, and it is wrapped under the master key. Both
seals name the secret's id and version, so a row that is copied over another one opens nothing. The master key's name
stands beside the wrapped key: a rotation wraps data keys anew, row by row, and never touches a value.
"""

from __future__ import annotations

import base64
import os

from platform_api.domain.secret_records import SecretPlace
from platform_api.ports.secret_store import Sealed, StoreAway, ValueLost
from platform_api.secret_store.master_keys import (
    KEY_BYTES,
    Keyring,
    KeySource,
    MasterKey,
    MasterKeyUnusable,
    SealBroken,
    seal,
    unseal,
)

HOLDER = "database"
_DATA_KEY, _VALUE = "data_key", "value"


class DatabaseStore:
    """``ports.secret_store.SecretStore``: pure computing, the seal itself is kept by ``db.secret_records``."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys

    async def put(self, place: SecretPlace, value: str) -> Sealed:
        """Seal the value; raises ``StoreAway`` without a master key."""
        master, data_key = self._keyring().current, os.urandom(KEY_BYTES)
        return Sealed(
            HOLDER,
            master.id,
            {
                _DATA_KEY: _text(seal(master.key, data_key, _mark(_DATA_KEY, place))),
                _VALUE: _text(seal(data_key, value.encode(), _mark(_VALUE, place))),
            },
        )

    async def get(self, place: SecretPlace, sealed: Sealed) -> str:
        """Open the seal; raises ``ValueLost``."""
        try:
            data_key = unseal(self._master(place, sealed).key, _bytes(sealed, _DATA_KEY), _mark(_DATA_KEY, place))
            return unseal(data_key, _bytes(sealed, _VALUE), _mark(_VALUE, place)).decode()
        except SealBroken:
            raise ValueLost(f"The seal of the secret {place.name} is broken; set it anew") from None

    def rewrap(self, place: SecretPlace, sealed: Sealed) -> Sealed:
        """The same seal with its data key under the current master key; raises ``ValueLost``."""
        old, new = self._master(place, sealed), self._keyring().current
        try:
            data_key = unseal(old.key, _bytes(sealed, _DATA_KEY), _mark(_DATA_KEY, place))
        except SealBroken:
            raise ValueLost(f"The seal of the secret {place.name} is broken; set it anew") from None
        wrapped = _text(seal(new.key, data_key, _mark(_DATA_KEY, place)))
        return Sealed(HOLDER, new.id, {**sealed.document, _DATA_KEY: wrapped})

    async def find(self, place: SecretPlace) -> Sealed | None:
        """Nothing: a seal that was not committed with its row is nowhere."""
        return None

    async def retire(self, place: SecretPlace, sealed: Sealed) -> None:
        """Nothing: the seal goes with its row."""

    async def remove(self, place: SecretPlace) -> None:
        """Nothing: the seals go with their rows."""

    async def close(self) -> None:
        """Nothing to let go of."""

    def _keyring(self) -> Keyring:
        try:
            return self._keys.keyring()
        except MasterKeyUnusable as error:
            raise StoreAway(str(error)) from None

    def _master(self, place: SecretPlace, sealed: Sealed) -> MasterKey:
        if sealed.holder != HOLDER:
            raise ValueLost(f"The secret {place.name} is kept in another store than this platform's; set it anew")
        master = self._keyring().named(sealed.key_id)
        if master is None:
            raise ValueLost(f"The secret {place.name} is sealed under a master key that is not here")
        return master


def _mark(what: str, place: SecretPlace) -> bytes:
    return f"{what}:{place.id}:{place.version}".encode()


def _text(sealed: bytes) -> str:
    return base64.b64encode(sealed).decode()


def _bytes(sealed: Sealed, name: str) -> bytes:
    try:
        return base64.b64decode(sealed.document[name], validate=True)
    except (KeyError, ValueError, TypeError):
        raise SealBroken from None
