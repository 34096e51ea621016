"""What an identity provider's names make of a person."""

from __future__ import annotations

import pytest

from platform_api.settings import Settings
from rbac.principal import Role
from rbac.role_map import Assignment, Mapped, assign

MAP = {
    "Jobs.Creator": Mapped(Role.JOB_CREATOR),
    "Jobs.Admin": Mapped(Role.ADMIN, "platform"),
    "Jobs.Viewer": Mapped(Role.TEAM_VIEWER),
    "group of devops": Mapped(None, "devops"),
    "group of data": Mapped(Role.JOB_CREATOR, "data"),
}

#: The names in a token, and what their bearer is.
TABLE: list[tuple[set[str], Assignment | None]] = [
    ({"Jobs.Admin"}, Assignment(Role.ADMIN, "platform")),
    ({"Jobs.Creator", "group of devops"}, Assignment(Role.JOB_CREATOR, "devops")),
    ({"group of data"}, Assignment(Role.JOB_CREATOR, "data")),
    ({"Jobs.Viewer", "group of data"}, Assignment(Role.JOB_CREATOR, "data")),
    ({"Jobs.Admin", "group of devops", "group of data"}, Assignment(Role.ADMIN, "platform")),
    (set(), None),
    ({"a stranger's group"}, None),
    ({"Jobs.Creator"}, None),
    ({"group of devops"}, None),
    ({"jobs.admin"}, None),
    ({"*"}, None),
]


@pytest.mark.parametrize(("names", "expected"), TABLE)
def test_what_names_give(names: set[str], expected: Assignment | None) -> None:
    assert assign(MAP, names) == expected


EVERYBODY = {"*": Mapped(Role.TEAM_VIEWER, "everybody")}

WITH_EVERYBODY: list[tuple[set[str], Assignment]] = [
    (set(), Assignment(Role.TEAM_VIEWER, "everybody")),
    ({"a stranger's group"}, Assignment(Role.TEAM_VIEWER, "everybody")),
    ({"Jobs.Creator"}, Assignment(Role.JOB_CREATOR, "everybody")),
    ({"group of devops"}, Assignment(Role.TEAM_VIEWER, "everybody")),
    ({"Jobs.Viewer", "group of devops"}, Assignment(Role.TEAM_VIEWER, "devops")),
]


@pytest.mark.parametrize(("names", "expected"), WITH_EVERYBODY)
def test_everybody_is_somebody_where_the_map_says_so(names: set[str], expected: Assignment) -> None:
    assert assign(EVERYBODY | MAP, names) == expected


def test_the_map_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_PLATFORM_OIDC_ROLE_MAP", '{"a": {"role": "admin", "team": "x"}, "b": {"team": "y"}}')
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert settings.oidc_role_map == {"a": Mapped(Role.ADMIN, "x"), "b": Mapped(None, "y")}


@pytest.mark.parametrize(
    "wrong", ["not json", "[]", '{"a": "admin"}', '{"a": {"role": "root"}}', '{"a": {"role": "admin", "teams": "x"}}']
)
def test_a_map_with_a_fault_stops_the_start(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("JOB_PLATFORM_OIDC_ROLE_MAP", wrong)
    with pytest.raises(ValueError):
        Settings(_env_file=None)  # type: ignore[call-arg]
