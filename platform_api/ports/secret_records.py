"""Secrets as our tables keep them: everything but their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from platform_api.domain.secret_records import Secret, SecretPlace, SecretScope
from platform_api.ports.secret_store import Sealed
from rbac.principal import Principal


@dataclass(frozen=True, slots=True)
class NewSecret:
    """Exactly one of ``owner_id`` and ``team_id`` is given, as the scope says."""

    id: UUID
    name: str
    scope: SecretScope
    owner_id: UUID | None
    team_id: UUID | None


@dataclass(frozen=True, slots=True)
class UsingJob:
    """A job that gets a secret's value when it starts."""

    job_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Who uses a secret: the jobs that somebody may see, and whether there are others."""

    jobs: list[UsingJob] = field(default_factory=list)
    others: bool = False


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One version of a secret, and by which name it was asked for."""

    asked: str
    place: SecretPlace
    sealed: Sealed


class SecretRecords(Protocol):
    """The secrets of one transaction."""

    async def page(self, principal: Principal, after: Sequence[str] | None, limit: int) -> list[Secret]:
        """The secrets that the principal may see, by name, behind the place ``after`` (name, id)."""
        ...

    async def named(self, name: str, *, lock: bool = False) -> list[Secret]:
        """Everybody's secrets of that name, in any case."""
        ...

    async def get(self, secret_id: UUID) -> Secret | None:
        """One secret that is not deleted."""
        ...

    async def add(self, new: NewSecret) -> None:
        """Take the name; raises ``Conflict`` when its owner or team has it already."""
        ...

    async def begin_version(self, secret_id: UUID, last_four: str | None) -> int:
        """Note that a value is about to be stored, and as which version."""
        ...

    async def store_version(self, place: SecretPlace, sealed: Sealed) -> bool:
        """The value is stored, and counts from now on; False when the secret was deleted or given up meanwhile."""
        ...

    async def give_up_version(self, place: SecretPlace) -> None:
        """The value was not stored; a secret that never had one goes with it."""
        ...

    async def delete(self, secret_id: UUID) -> None:
        """No job gets it any more; its values go when no script that runs can still say them."""
        ...

    async def usage(self, secret_ids: Sequence[UUID], principal: Principal) -> Mapping[UUID, Usage]:
        """The jobs that get these secrets."""
        ...

    async def usable(self, owner_id: UUID, team_id: UUID, names: Sequence[str]) -> set[str]:
        """Those names by which a job of that owner in that team gets a value."""
        ...

    async def take(self, execution_id: UUID, job_id: UUID, names: Sequence[str]) -> list[StoredValue]:
        """What an execution of the job gets by these names, noted as taken: the owner's own before the team's."""
        ...

    async def taken(self, execution_id: UUID) -> list[StoredValue]:
        """Every version that an execution has been given in any of its attempts."""
        ...

    async def unfinished(self, older_than: timedelta, limit: int) -> list[SecretPlace]:
        """Versions whose storing was cut off, locked against other processes."""
        ...

    async def unneeded(self, limit: int) -> list[StoredValue]:
        """Replaced and deleted versions that no unfinished execution was given, locked against other processes."""
        ...

    async def forget_version(self, place: SecretPlace) -> bool:
        """Remove a version; True when it was the last one of a secret, which goes with it."""
        ...

    async def sealed_otherwise(self, holder: str, key_id: str, limit: int) -> list[StoredValue]:
        """Versions of a holder that are sealed under another key, locked against other processes."""
        ...

    async def reseal(self, place: SecretPlace, sealed: Sealed) -> None:
        """Replace the seal of a version that ``sealed_otherwise`` has locked."""
        ...

    async def key_ids(self, holder: str) -> set[str]:
        """Every master key that some version of the holder is sealed under."""
        ...
