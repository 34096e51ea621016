"""A platform that has moved its secrets to a vault, and still reads what was sealed in the database before."""

from __future__ import annotations

from platform_api.domain.secret_records import SecretPlace
from platform_api.ports.secret_store import Sealed, SecretStore
from platform_api.secret_store.database import HOLDER, DatabaseStore


class MovingStore:
    """``ports.secret_store.SecretStore``: new values go to the vault, older ones are read where they are."""

    def __init__(self, vault: SecretStore, before: DatabaseStore) -> None:
        self._vault = vault
        self._before = before

    async def put(self, place: SecretPlace, value: str) -> Sealed:
        """Into the vault."""
        return await self._vault.put(place, value)

    async def get(self, place: SecretPlace, sealed: Sealed) -> str:
        """From whoever holds it."""
        return await (self._before if sealed.holder == HOLDER else self._vault).get(place, sealed)

    async def find(self, place: SecretPlace) -> Sealed | None:
        """In the vault: a seal of the database's is never lost sight of."""
        return await self._vault.find(place)

    async def retire(self, place: SecretPlace, sealed: Sealed) -> None:
        """A seal of the database's goes with its row."""
        if sealed.holder != HOLDER:
            await self._vault.retire(place, sealed)

    async def remove(self, place: SecretPlace) -> None:
        """From the vault, which may never have had it."""
        await self._vault.remove(place)

    async def close(self) -> None:
        """Let go of the vault."""
        await self._vault.close()
