"""Teams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Team:
    """A team, with how much is in it."""

    id: UUID
    name: str
    version: int
    created_at: datetime
    members: int
    jobs: int


class Teams(Protocol):
    """The teams of one transaction."""

    async def page(self, after: tuple[str, UUID] | None, limit: int) -> list[Team]:
        """Teams by name, behind the place ``after``."""
        ...

    async def get(self, team_id: UUID, *, lock: bool = False) -> Team | None:
        """The team; with ``lock`` nobody joins it, and no job is added, until the transaction ends."""
        ...

    async def ids(self, names: frozenset[str]) -> Mapping[str, UUID]:
        """The ids of the teams of these names, as far as there are such."""
        ...

    async def add(self, team_id: UUID, name: str) -> Team:
        """Store a team; raises ``Conflict`` when the name is taken."""
        ...

    async def rename(self, team: Team, name: str) -> Team:
        """Give a locked team another name; raises ``Conflict`` as ``add`` does."""
        ...

    async def contents(self, team_id: UUID) -> Mapping[str, int]:
        """What belongs to the team, by kind in words, and how much; nothing that is not there."""
        ...

    async def delete(self, team: Team, remnants_to: UUID) -> None:
        """Delete a locked team; what is left of erased people goes to another; ``Conflict`` when it is in use."""
        ...
