"""The page about permissions says what the matrix says."""

from __future__ import annotations

from docs.permissions_page import PAGE, matrix, render
from rbac.permissions import Permission
from rbac.roles import GRANTS


def test_the_matrix_is_generated_from_the_roles() -> None:
    assert PAGE.read_text() == render(), "run `python -m docs.permissions_page`"


def test_every_permission_has_a_line_and_every_role_a_word() -> None:
    lines = matrix().splitlines()
    assert len(lines) == 2 + len(Permission)
    assert all(str(role).replace("_", " ") in lines[0] for role in GRANTS)
