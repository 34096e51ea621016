"""From what an identity provider says about a person to their role and team."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from rbac.principal import Role

#: The entry of everybody whom no other entry gives a role.
EVERYBODY = "*"

#: The widest role first: who is named twice gets the wider one.
_WIDEST_FIRST = (Role.ADMIN, Role.JOB_CREATOR, Role.TEAM_VIEWER)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one app role or group gives; either part may come from another entry."""

    # Who reads this from settings (pydantic) must not pass over a misspelt word.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    role: Role | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a person is here."""

    role: Role
    team: str


def assign(role_map: Mapping[str, Mapped], names: Collection[str]) -> Assignment | None:
    """Role and team of somebody with these app roles and groups; None when the map does not give both.

    The widest role counts. The team is that of the entry which gave the role, else of the first entry (in the map's
    order) that names one.
    """
    matching = [mapped for name, mapped in role_map.items() if name in names]
    if EVERYBODY in role_map:
        matching.append(role_map[EVERYBODY])
    named = [mapped for mapped in matching if mapped.role is not None]
    if EVERYBODY in role_map and len(named) > 1 and named[-1] is role_map[EVERYBODY]:
        named.pop()
    deciding = min(named, key=lambda mapped: _WIDEST_FIRST.index(mapped.role or Role.TEAM_VIEWER), default=None)
    if deciding is None or deciding.role is None:
        return None
    team = deciding.team or next((mapped.team for mapped in matching if mapped.team), None)
    return Assignment(deciding.role, team) if team else None
