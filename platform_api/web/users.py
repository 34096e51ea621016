"""People: the list, and one account with what it may do, what it owns and how it ends."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from platform_api.audit.actions import Action
from platform_api.domain.errors import Conflict, InvalidContent
from platform_api.ports.people import Person, PersonFilter
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.paging import decode_name_cursor, encode_cursor
from platform_api.rest.users import document
from platform_api.use_cases import teams, users
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.ownership import Fate
from platform_api.use_cases.services import Services
from platform_api.use_cases.users import PersonWish
from platform_api.web.answers import go, is_htmx
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission
from rbac.principal import PermissionSet, Role

router = pages()

PAGE = 50
#: Teams that a form offers; there are dozens, not thousands.
MOST_TEAMS = 500

ROLES = tuple((role.value, role.value.replace("_", " ")) for role in Role)
STATES = (("", "Everybody"), ("yes", "Active"), ("no", "Has left"), ("orphans", "Has left, still owns jobs"))
FATES = (
    (Fate.KEEP.value, "go on as they are"),
    (Fate.DISABLE.value, "are disabled"),
    (Fate.DELETE.value, "are deleted"),
    ("heir", "go to somebody else"),
)


class Filters(BaseModel):
    """What the form above the list asks for."""

    q: Annotated[str, Field(max_length=200)] = ""
    role: str = ""
    team: Annotated[str, Field(max_length=200)] = ""
    state: str = ""
    cursor: Annotated[str, Field(max_length=2000)] = ""

    def wanted(self) -> PersonFilter:
        """As the use case takes it."""
        refuse_unstorable(self.model_dump())
        return PersonFilter(
            role=self.role if self.role in list(Role) else None,
            team=self.team or None,
            is_active={"yes": True, "no": False, "orphans": False}.get(self.state),
            has_jobs=True if self.state == "orphans" else None,
            q=self.q.strip() or None,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything is filtered."""
        return self.wanted() != PersonFilter()

    def address(self, **changed: str) -> str:
        """The list with these filters, changed."""
        given = {name: value for name, value in {**self.model_dump(), **changed}.items() if value}
        return "/users" + (f"?{urlencode(given)}" if given else "")


class Account(BaseModel):
    """The form of one account."""

    role: Role
    team: Annotated[str, Field(max_length=200)]
    active: bool = False
    viewer_of: list[str] = []
    permission_sets: list[PermissionSet] = []
    jobs: str = Fate.KEEP.value
    hand_over_to: Annotated[str, Field(max_length=320)] = ""
    version: int

    def wish(self) -> PersonWish:
        """For the use case; what becomes of the jobs is asked of those who leave only."""
        refuse_unstorable(self.model_dump(mode="json"))
        heir = self.hand_over_to.strip() or None
        leaves = not self.active
        if leaves and self.jobs == "heir" and heir is None:
            raise InvalidContent.of("hand_over_to", "say who gets the jobs")
        return PersonWish(
            role=self.role,
            team=self.team,
            is_active=self.active,
            viewer_of=frozenset(self.viewer_of),
            permission_sets=frozenset(self.permission_sets),
            jobs=Fate(self.jobs) if leaves and self.jobs in list(Fate) else Fate.KEEP,
            hand_over_to=heir if leaves and self.jobs == "heir" else None,
            version=self.version,
        )


class Farewell(BaseModel):
    """How an account is erased."""

    hand_over_to: Annotated[str, Field(max_length=320)] = ""
    typed: Annotated[str, Field(max_length=320)] = ""


@router.get("/users", **page(Permission.USER_LIST))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, filters: Annotated[Filters, Query()]
) -> Response:
    """The accounts, by e-mail address; for htmx the list alone."""
    found = await users.page(services, caller, filters.wanted(), decode_name_cursor(filters.cursor or None), PAGE + 1)
    context: dict[str, Any] = {
        "rows": found[:PAGE],
        "filters": filters,
        "first": filters.address(cursor="") if filters.cursor else None,
        "next": filters.address(cursor=_behind(found[PAGE - 1])) if len(found) > PAGE else None,
    }
    if is_htmx(request):
        return render(request, "users/list.html", **context)
    names = await _team_names(services, caller)
    return render(request, "users/page.html", teams=names, roles=ROLES, states=STATES, **context)


@router.get("/users/{user_id}", **page(Permission.USER_VIEW))
async def account(request: Request, services: ServicesDependency, caller: CallerDependency, user_id: UUID) -> Response:
    """One account: your own, or any for an administrator."""
    return await _account(request, services, caller, await users.get(services, caller, user_id))


@router.post("/users/{user_id}", **page(Permission.USER_EDIT, Action.USER_UPDATED))
async def change(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    user_id: UUID,
    form: Annotated[Account, Form()],
) -> Response:
    """Save it; what is wrong is told beside its field, with everything as it was filled in."""
    try:
        person = await users.edit(services, caller, user_id, form.wish(), None)
    except InvalidContent as error:
        faults = {fault.field: fault.message for fault in error.errors}
    except Conflict as error:
        faults = {"role": str(error)}
    else:
        return go(f"/users/{user_id}", f"{person.email} is saved.")
    person = await users.get(services, caller, user_id)
    return await _account(request, services, caller, person, form, faults)


@router.get("/users/{user_id}/export", **page(Permission.USER_EXPORT, Action.USER_EXPORTED))
async def export(services: ServicesDependency, caller: CallerDependency, user_id: UUID) -> Response:
    """Everything that is stored about a person, as a file."""
    rows = await users.export(services, caller, user_id)
    headers = {"Content-Disposition": f'attachment; filename="user-{user_id}.json"'}
    return StreamingResponse(document(rows), media_type="application/json", headers=headers)


@router.post("/users/{user_id}/erase", **page(Permission.USER_ERASE, Action.USER_ERASED))
async def erase(
    services: ServicesDependency, caller: CallerDependency, user_id: UUID, form: Annotated[Farewell, Form()]
) -> Response:
    """Forget a person for good; whoever asks has typed their address."""
    refuse_unstorable(form.model_dump())
    person = await users.get(services, caller, user_id)
    if form.typed.strip().lower() != person.email.lower():
        return go(f"/users/{user_id}", "Nothing was erased: the address that was typed is another one.", "bad")
    await users.erase(services, caller, user_id, form.hand_over_to.strip() or None)
    return go("/users" if caller.principal.role is Role.ADMIN else "/", "The account is erased.")


async def _account(
    request: Request,
    services: Services,
    caller: Caller,
    person: Person,
    form: Account | None = None,
    faults: dict[str, str] | None = None,
) -> Response:
    may_edit = caller.principal.role is Role.ADMIN
    filled = form or Account(
        role=Role(person.role),
        team=person.team,
        active=person.is_active,
        viewer_of=list(person.viewer_of),
        permission_sets=[PermissionSet(held) for held in person.permission_sets],
        version=person.version,
    )
    context: dict[str, Any] = {
        "person": person,
        "is_me": person.id == caller.principal.user_id,
        "may_edit": may_edit,
        "form": filled,
        "faults": faults or {},
        "teams": await _team_names(services, caller) if may_edit else [],
        "roles": ROLES,
        "sets": list(PermissionSet),
        "fates": FATES,
    }
    return render(request, "users/account.html", 400 if faults else 200, **context)


async def _team_names(services: Services, caller: Caller) -> list[str]:
    return [team.name for team in await teams.page(services, caller, None, MOST_TEAMS)]


def _behind(person: Person) -> str:
    return encode_cursor(person.email.lower(), str(person.id))
