"""A secret as everybody may know it: whose it is and which version it has, never its value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from platform_api.domain.errors import FieldError

LONGEST_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)


class SecretScope(StrEnum):
    """Whose jobs may use it."""

    OWN = "own"
    TEAM = "team"


@dataclass(frozen=True, slots=True)
class Secret:
    """``owner`` is set for an own secret, ``team`` for a team's; ``version`` is 0 until the first value is stored."""

    id: UUID
    name: str
    scope: SecretScope
    owner_id: UUID | None
    owner: str | None
    team_id: UUID | None
    team: str | None
    version: int
    last_four: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where a value belongs: it opens nothing and decrypts nowhere else."""

    id: UUID
    name: str
    scope: SecretScope
    version: int


def is_name(text: str) -> bool:
    """Whether a secret can have this name."""
    return _NAME.fullmatch(text) is not None


def faults_of_name(name: str, field: str = "name") -> Iterator[FieldError]:
    """What is wrong with a name. It is never repeated: people paste values where names belong."""
    if not is_name(name):
        yield FieldError(
            field,
            f"must be 1 to {LONGEST_NAME} letters, digits or any of . _ - and begin and end with a letter or digit",
        )
