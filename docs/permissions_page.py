"""Writes the matrix of ``docs/explanation/permissions.md`` from ``rbac.roles``: `python -m docs.permissions_page`."""

from __future__ import annotations

from pathlib import Path

from rbac.permissions import Permission
from rbac.principal import PermissionSet, Role
from rbac.roles import GRANTS, SETS, Grants
from rbac.scopes import SCOPE_OF

PAGE = Path(__file__).parent / "explanation" / "permissions.md"
BEGIN, END = "<!-- matrix: begin -->\n", "<!-- matrix: end -->\n"

HEAD = """| permission | admin | job creator | team viewer | template admin, besides | scope of a key |
| --- | --- | --- | --- | --- | --- |
"""


def render() -> str:
    """The page with the matrix of today."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + matrix() + END + rest.partition(END)[2]


def matrix() -> str:
    """One line per permission."""
    held = (*(GRANTS[role] for role in Role), SETS[PermissionSet.TEMPLATE_ADMIN])
    return HEAD + "".join(f"| {' | '.join(_cells(permission, held))} |\n" for permission in Permission)


def _cells(permission: Permission, held: tuple[Grants, ...]) -> list[str]:
    reaches = [", ".join(sorted(grants.get(permission, ()))) or "-" for grants in held]
    scope = SCOPE_OF.get(permission)
    return [f"`{permission}`", *reaches, f"`{scope}`" if scope else "any key"]


if __name__ == "__main__":
    PAGE.write_text(render())
