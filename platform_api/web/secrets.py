"""Secrets: made, replaced and deleted here; nobody reads a value."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import Conflict, InvalidContent
from platform_api.domain.secret_records import Secret, SecretScope
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.paging import decode_cursor, encode_cursor
from platform_api.use_cases import secrets
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.secrets import Address, SecretView, Wish
from platform_api.use_cases.services import Services
from platform_api.web.answers import go
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from rbac.permissions import Permission
from rbac.principal import Role

router = pages()

PAGE = 50

SCOPES = ((SecretScope.OWN.value, "My jobs"), (SecretScope.TEAM.value, "All jobs of my team"))

Cursor = Annotated[str, Query(max_length=2000)]


class Wanted(BaseModel):
    """The form of a new secret."""

    name: Annotated[str, Field(max_length=200)] = ""
    value: Annotated[str, Field(repr=False)] = ""
    scope: SecretScope = SecretScope.OWN


class Which(BaseModel):
    """The one that a row of the list is about, and what is to happen to it."""

    name: Annotated[str, Field(max_length=200)]
    scope: SecretScope
    owner: Annotated[str, Field(max_length=320)] = ""
    team: Annotated[str, Field(max_length=320)] = ""
    value: Annotated[str, Field(repr=False)] = ""
    force: bool = False

    def address(self) -> Address:
        """As the use case takes it."""
        refuse_unstorable(self.model_dump(exclude={"value"}, mode="json"))
        return Address(self.name, self.scope, self.owner or None, self.team or None)


@router.get("/secrets", **page(Permission.SECRET_LIST))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, cursor: Cursor = ""
) -> Response:
    """What the caller's jobs can use, and the form for a new one."""
    return await _page(request, services, caller, Wanted(), {}, cursor)


@router.post("/secrets", **page(Permission.SECRET_CREATE, Action.SECRET_CREATED))
async def create(
    request: Request, services: ServicesDependency, caller: CallerDependency, form: Annotated[Wanted, Form()]
) -> Response:
    """Keep a new one; what is wrong is told beside its field, and the value is never sent back."""
    try:
        refuse_unstorable({"name": form.name})
        await secrets.create(services, caller, Wish(form.name.strip(), _unix(form.value), form.scope))
    except InvalidContent as error:
        return await _page(request, services, caller, form, {fault.field: fault.message for fault in error.errors})
    except Conflict as error:
        return await _page(request, services, caller, form, {"name": str(error)}, status=409)
    return go("/secrets", f"{form.name.strip()} is kept. Give it to a job by this name, on the job's page.")


@router.post("/secrets/replace", **page(Permission.SECRET_EDIT, Action.SECRET_UPDATED))
async def replace(services: ServicesDependency, caller: CallerDependency, form: Annotated[Which, Form()]) -> Response:
    """Give it another value."""
    view = await secrets.replace_value(services, caller, form.address(), _unix(form.value))
    return go("/secrets", f"{form.name} has a new value, version {view.secret.version}. Runs that start now get it.")


@router.post("/secrets/delete", **page(Permission.SECRET_DELETE, Action.SECRET_DELETED))
async def delete(services: ServicesDependency, caller: CallerDependency, form: Annotated[Which, Form()]) -> Response:
    """Delete it; one that jobs use only where the reader was told so and said yes."""
    await secrets.delete(services, caller, form.address(), force=form.force)
    return go("/secrets", f"{form.name} is deleted.")


async def _page(
    request: Request,
    services: Services,
    caller: Caller,
    form: Wanted,
    faults: dict[str, str],
    cursor: str = "",
    status: int | None = None,
) -> Response:
    found = await secrets.page(services, caller, decode_cursor(cursor or None, 2), PAGE + 1)
    context: dict[str, Any] = {
        "rows": found[:PAGE],
        "form": form,
        "faults": faults,
        "scopes": SCOPES,
        "sees_all": caller.principal.role is Role.ADMIN,
        "first": "/secrets" if cursor else None,
        "next": f"/secrets?{urlencode({'cursor': _behind(found[PAGE - 1])})}" if len(found) > PAGE else None,
    }
    return render(request, "secrets/page.html", status or (400 if faults else 200), **context)


def _behind(view: SecretView) -> str:
    secret: Secret = view.secret
    return encode_cursor(secret.name, str(secret.id))


def _unix(text: str) -> str:
    """Forms send every line end as CR LF; a key or a certificate has LF."""
    return text.replace("\r\n", "\n")
