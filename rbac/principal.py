"""Who acts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a person may do at most; the permission matrix is in ``rbac.roles``."""

    ADMIN = "admin"
    JOB_CREATOR = "job_creator"
    TEAM_VIEWER = "team_viewer"


class PermissionSet(StrEnum):
    """Permissions that a person may hold besides their role; what each holds is in ``rbac.roles``."""

    TEMPLATE_ADMIN = "template_admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person (or their key) whose identity has been established."""

    user_id: UUID
    email: str
    role: Role
    team_id: UUID
    team: str
    #: What an API key narrows its owner to; None means everything the role allows.
    scopes: frozenset[str] | None = None
    #: Further teams whose jobs the person may look at, as a team viewer of each would.
    viewer_of: frozenset[UUID] = frozenset()
    permission_sets: frozenset[PermissionSet] = frozenset()
