"""Which pages there are: one line each, and no page links to one that is not here."""

from __future__ import annotations

from dataclasses import dataclass

from rbac.permissions import Permission
from rbac.principal import Principal
from rbac.roles import reaches


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that people find in the menu, if their role allows it."""

    label: str
    path: str
    icon: str
    group: str
    permission: Permission
    #: The key behind ``g`` that leads here.
    key: str | None = None


WORK, PLATFORM = "Work", "Platform"

#: In the order of the menu. A page adds itself by one line.
ENTRIES: tuple[Entry, ...] = (
    Entry("Dashboard", "/dashboard", "dashboard", WORK, Permission.DASHBOARD_VIEW, "d"),
    Entry("Jobs", "/jobs", "jobs", WORK, Permission.JOB_LIST, "j"),
    Entry("Executions", "/executions", "executions", WORK, Permission.EXECUTION_LIST, "e"),
    Entry("Dead letters", "/dead-letters", "dead-letters", WORK, Permission.DEAD_LETTER_LIST, "x"),
    Entry("Secrets", "/secrets", "secrets", WORK, Permission.SECRET_LIST, "p"),
    Entry("API keys", "/api-keys", "keys", WORK, Permission.KEY_LIST, "k"),
    Entry("Audit log", "/audit", "audit", PLATFORM, Permission.AUDIT_VIEW, "a"),
    Entry("Guides", "/docs", "docs", PLATFORM, Permission.PROFILE_VIEW, "h"),
    Entry("Users", "/users", "users", PLATFORM, Permission.USER_LIST, "u"),
    Entry("Teams", "/teams", "teams", PLATFORM, Permission.TEAM_LIST, "t"),
    Entry("System", "/system", "system", PLATFORM, Permission.SYSTEM_VIEW, "s"),
    Entry("Prefect", "/prefect", "prefect", PLATFORM, Permission.PREFECT_USE),
)


def menu(principal: Principal) -> dict[str, list[Entry]]:
    """The groups and pages of this person's menu."""
    groups: dict[str, list[Entry]] = {}
    for entry in ENTRIES:
        if reaches(principal.role, entry.permission):
            groups.setdefault(entry.group, []).append(entry)
    return groups


def has_page(path: str) -> bool:
    """Whether the menu knows a page: what is linked must exist."""
    return any(entry.path == path for entry in ENTRIES)
