"""Where the values of secrets are: each is written once per version and read by workers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from platform_api.domain.secret_records import SecretPlace
from platform_api.ports.secrets import SecretsUnavailable


class StoreAway(SecretsUnavailable):
    """The store did not answer, or refused us: the same may work later."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The secret store did not answer: {reason}")


class ValueLost(SecretsUnavailable):
    """The store answered, and the value cannot be had: gone, disabled, or sealed under a key that is not here."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What our table keeps of a value; only the store that made it (``holder``) can open it."""

    holder: str
    #: Under which master key, where there is one: what a rotation looks for.
    key_id: str | None
    document: Mapping[str, str] = field(repr=False)


class SecretStore(Protocol):
    """Adapters never let a value into an error, a log or a traceback. Every method may be repeated."""

    async def put(self, place: SecretPlace, value: str) -> Sealed:
        """Store the value of one version. Raises ``StoreAway``."""
        ...

    async def get(self, place: SecretPlace, sealed: Sealed) -> str:
        """The value. Raises ``StoreAway`` and ``ValueLost``."""
        ...

    async def find(self, place: SecretPlace) -> Sealed | None:
        """What ``put`` made before a crash, if the store itself knows. Raises ``StoreAway``."""
        ...

    async def retire(self, place: SecretPlace, sealed: Sealed) -> None:
        """Make one version unreadable. Raises ``StoreAway``."""
        ...

    async def remove(self, place: SecretPlace) -> None:
        """Remove the secret with all of its versions. Raises ``StoreAway``."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class NoSecretStore:
    """The store of a process that has none."""

    async def put(self, place: SecretPlace, value: str) -> Sealed:
        """Refused."""
        raise StoreAway("this process has none")

    async def get(self, place: SecretPlace, sealed: Sealed) -> str:
        """Refused."""
        raise StoreAway("this process has none")

    async def find(self, place: SecretPlace) -> Sealed | None:
        """Refused."""
        raise StoreAway("this process has none")

    async def retire(self, place: SecretPlace, sealed: Sealed) -> None:
        """Refused."""
        raise StoreAway("this process has none")

    async def remove(self, place: SecretPlace) -> None:
        """Refused."""
        raise StoreAway("this process has none")

    async def close(self) -> None:
        """Nothing to let go of."""
