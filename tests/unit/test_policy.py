"""The permission matrix as a truth table, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from rbac.permissions import UNBOUND, Permission
from rbac.policy import Resource, decide
from rbac.principal import PermissionSet, Principal, Role
from rbac.roles import GRANTS, SETS
from rbac.scopes import SCOPE_OF, SCOPELESS, Scope

DEVOPS, DATA, PLATFORM = uuid4(), uuid4(), uuid4()


def person(name: str, role: Role, team: UUID) -> Principal:
    return Principal(uuid4(), f"{name}@example.com", role, team, "a team")


PEOPLE = {
    "admin": person("admin", Role.ADMIN, PLATFORM),
    "maya": person("maya", Role.JOB_CREATOR, DEVOPS),
    "nadia": person("nadia", Role.JOB_CREATOR, DEVOPS),
    "rajesh": person("rajesh", Role.JOB_CREATOR, DATA),
    "chris": person("chris", Role.TEAM_VIEWER, DEVOPS),
}
MAYAS = Resource(PEOPLE["maya"].user_id, DEVOPS)

YES, NO, HIDDEN = "yes", "no", "hidden"

#: Who may do what with a job of Maya's. "no" is a 403, "hidden" a 404.
ON_MAYAS_JOB = {
    Permission.JOB_VIEW: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": YES},
    Permission.VERSION_VIEW: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": YES},
    Permission.EXECUTION_VIEW: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": YES},
    Permission.LOG_VIEW: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": YES},
    Permission.METRICS_VIEW: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": YES},
    Permission.JOB_EDIT: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.JOB_DELETE: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.JOB_RUN: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.JOB_ENABLE: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.JOB_DISABLE: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.JOB_CLONE: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.JOB_ROLLBACK: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.JOB_HAND_OVER: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.EXECUTION_CANCEL: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.EXECUTION_RETRY: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.DEAD_LETTER_REPLAY: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
    Permission.DEAD_LETTER_DISMISS: {"admin": YES, "maya": YES, "nadia": HIDDEN, "rajesh": HIDDEN, "chris": NO},
}

#: Who may do what before there is a thing to do it with.
ON_NOTHING_YET = {
    Permission.JOB_CREATE: {"admin": YES, "maya": YES, "chris": NO},
    Permission.JOB_VALIDATE: {"admin": YES, "maya": YES, "chris": NO},
    Permission.JOB_LIST: {"admin": YES, "maya": YES, "chris": YES},
    Permission.EXECUTION_LIST: {"admin": YES, "maya": YES, "chris": YES},
    Permission.SECRET_CREATE: {"admin": YES, "maya": YES, "chris": NO},
    Permission.USER_LIST: {"admin": YES, "maya": NO, "chris": NO},
    Permission.TEAM_EDIT: {"admin": YES, "maya": NO, "chris": NO},
    Permission.AUDIT_VIEW: {"admin": YES, "maya": NO, "chris": NO},
    Permission.AUDIT_VERIFY: {"admin": YES, "maya": NO, "chris": NO},
    Permission.SYSTEM_VIEW: {"admin": YES, "maya": NO, "chris": NO},
    Permission.TEMPLATE_EDIT: {"admin": YES, "maya": NO, "chris": NO},
    Permission.TEMPLATE_DELETE: {"admin": YES, "maya": NO, "chris": NO},
    Permission.PROFILE_VIEW: {"admin": YES, "maya": YES, "chris": YES},
    Permission.SCHEDULE_PREVIEW: {"admin": YES, "maya": YES, "chris": YES},
}


def rows(table: dict[Permission, dict[str, str]]) -> list[tuple[Permission, str, str]]:
    return [(permission, who, answer) for permission, answers in table.items() for who, answer in answers.items()]


def answer_of(who: str, permission: Permission, resource: Resource | None) -> str:
    decision = decide(PEOPLE[who], permission, resource)
    assert decision.reason
    if decision.allowed:
        return YES
    return NO if decision.may_know else HIDDEN


@pytest.mark.parametrize(("permission", "who", "answer"), rows(ON_MAYAS_JOB))
def test_what_each_person_may_do_with_mayas_job(permission: Permission, who: str, answer: str) -> None:
    assert answer_of(who, permission, MAYAS) == answer


@pytest.mark.parametrize(("permission", "who", "answer"), rows(ON_NOTHING_YET))
def test_what_each_person_may_begin(permission: Permission, who: str, answer: str) -> None:
    assert answer_of(who, permission, None) == answer


def test_at_least_half_of_the_table_are_denials() -> None:
    answers = [answer for _, _, answer in rows(ON_MAYAS_JOB)]
    assert sum(answer != YES for answer in answers) >= len(answers) / 2


def test_every_permission_about_a_job_is_in_the_table() -> None:
    kinds = {"job", "version", "execution", "log", "metrics", "dead_letter"}
    assert {p for p in Permission if p.kind in kinds and p not in UNBOUND} == set(ON_MAYAS_JOB)


@pytest.mark.parametrize("permission", sorted(set(Permission) - UNBOUND))
@pytest.mark.parametrize("who", PEOPLE)
def test_a_permission_about_things_is_refused_without_a_thing(permission: Permission, who: str) -> None:
    assert not decide(PEOPLE[who], permission, None).allowed


@pytest.mark.parametrize("role", [Role.JOB_CREATOR, Role.TEAM_VIEWER])
def test_what_a_role_was_not_granted_is_refused(role: Role) -> None:
    outsider = replace(PEOPLE["maya"], role=role)
    for permission in set(Permission) - set(GRANTS[role]):
        assert not decide(outsider, permission, MAYAS).allowed


def test_owners_keep_their_jobs_when_they_change_teams() -> None:
    moved = replace(PEOPLE["maya"], team_id=DATA)
    assert decide(moved, Permission.JOB_EDIT, MAYAS).allowed


def test_an_owner_who_may_only_look_now_no_longer_sees_what_another_team_has() -> None:
    demoted = replace(PEOPLE["maya"], role=Role.TEAM_VIEWER, team_id=DATA)
    assert answer_of("chris", Permission.JOB_VIEW, MAYAS) == YES
    assert not decide(demoted, Permission.JOB_VIEW, MAYAS).may_know


def test_every_permission_has_a_scope_or_needs_none() -> None:
    assert set(SCOPE_OF) | SCOPELESS == set(Permission)
    assert not set(SCOPE_OF) & SCOPELESS


@pytest.mark.parametrize("permission", sorted(SCOPE_OF))
def test_a_narrowed_key_does_what_its_scope_says_and_no_more(permission: Permission) -> None:
    admin, resource = PEOPLE["admin"], None if permission in UNBOUND else MAYAS
    fitting = replace(admin, scopes=frozenset({SCOPE_OF[permission].value}))
    others = replace(admin, scopes=frozenset(set(Scope) - {SCOPE_OF[permission]}))
    assert decide(fitting, permission, resource).allowed
    refused = decide(others, permission, resource)
    assert not refused.allowed
    assert refused.may_know
    assert SCOPE_OF[permission] in refused.reason


def test_a_scope_never_widens_a_role() -> None:
    narrowed = replace(PEOPLE["chris"], scopes=frozenset(Scope))
    assert not decide(narrowed, Permission.JOB_EDIT, MAYAS).allowed


#: Rajesh creates jobs in his own team and looks at those of Maya's.
RAJESH_LOOKS = replace(PEOPLE["rajesh"], viewer_of=frozenset({DEVOPS}))
NADIA_LOOKS = replace(PEOPLE["nadia"], viewer_of=frozenset({DEVOPS}))


@pytest.mark.parametrize("looker", [RAJESH_LOOKS, NADIA_LOOKS], ids=["of another team", "of the same team"])
@pytest.mark.parametrize("permission", sorted(ON_MAYAS_JOB))
def test_who_may_look_at_a_further_team_may_do_what_its_viewers_may(permission: Permission, looker: Principal) -> None:
    assert decide(looker, permission, MAYAS).allowed == (ON_MAYAS_JOB[permission]["chris"] == YES)
    assert decide(looker, permission, MAYAS).may_know


def test_looking_at_a_further_team_opens_none_of_its_secrets_keys_and_accounts() -> None:
    for permission in (Permission.SECRET_VIEW, Permission.KEY_VIEW, Permission.USER_VIEW, Permission.USER_EXPORT):
        assert not decide(RAJESH_LOOKS, permission, MAYAS).may_know


def test_looking_at_one_team_shows_nothing_of_a_third() -> None:
    assert not decide(RAJESH_LOOKS, Permission.JOB_VIEW, Resource(uuid4(), PLATFORM)).may_know


@pytest.mark.parametrize("who", PEOPLE)
def test_a_template_admin_may_edit_templates_and_nothing_else_that_they_could_not(who: str) -> None:
    plain = PEOPLE[who]
    holder = replace(plain, permission_sets=frozenset({PermissionSet.TEMPLATE_ADMIN}))
    for permission in Permission:
        resource = None if permission in UNBOUND else MAYAS
        more = permission in SETS[PermissionSet.TEMPLATE_ADMIN]
        assert decide(holder, permission, resource).allowed == (more or decide(plain, permission, resource).allowed)


def test_a_key_without_its_scope_does_not_carry_a_permission_set() -> None:
    holder = replace(PEOPLE["maya"], permission_sets=frozenset({PermissionSet.TEMPLATE_ADMIN}))
    narrow = replace(holder, scopes=frozenset({Scope.JOBS_WRITE.value}))
    assert decide(holder, Permission.TEMPLATE_EDIT).allowed
    assert not decide(narrow, Permission.TEMPLATE_EDIT).allowed
