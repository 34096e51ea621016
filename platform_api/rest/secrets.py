"""Secrets: written here, read by nobody here."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.domain.secret_records import SecretScope
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.moments import moment
from platform_api.rest.paging import PageDependency, decode_cursor, encode_cursor, page_of
from platform_api.use_cases import secrets
from platform_api.use_cases.secrets import Address, SecretView, Wish
from rbac.permissions import Permission

router = APIRouter(tags=["secrets"])

IdempotencyKey = Annotated[
    str | None, Header(description="The same request with the same key within 24 hours takes effect once.")
]


class NewValueBody(BaseModel):
    """A further value of a secret. Its name and scope may be repeated, and are not changed by it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: SecretStr = Field(description="At least one line of 4 characters; it can never be read again.")
    name: str | None = None
    scope: SecretScope | None = None


class SecretBody(NewValueBody):
    """A new secret."""

    name: str = Field(description="Letters, digits and any of . _ - ; case does not tell names apart.")
    scope: SecretScope = Field(SecretScope.OWN, description="`own`: for your jobs. `team`: for your team's.")


class WhichQuery(BaseModel):
    """Which secret of that name; without more, your own before your team's."""

    model_config = ConfigDict(extra="forbid")

    scope: SecretScope | None = None
    owner: Annotated[str | None, Field(max_length=320, description="Whose, by e-mail address.")] = None
    team: Annotated[str | None, Field(max_length=200, description="Which team's.")] = None

    def address(self, name: str) -> Address:
        """As the use case takes it."""
        refuse_unstorable({"name": name, "owner": self.owner, "team": self.team})
        return Address(name, self.scope, self.owner, self.team)


class DeletionQuery(WhichQuery):
    """What is deleted, and how firmly."""

    force: Annotated[bool, Field(description="Also when jobs use it; they cannot start any more.")] = False


Which = Annotated[WhichQuery, Query()]


def secret_json(view: SecretView) -> dict[str, Any]:
    """What may be known of a secret."""
    secret = view.secret
    return {
        "name": secret.name,
        "scope": secret.scope.value,
        "owner": secret.owner,
        "team": secret.team,
        "last_four": secret.last_four,
        "version": secret.version,
        "created_at": moment(secret.created_at),
        "updated_at": moment(secret.updated_at),
        "used_by": [{"job_id": str(job.job_id), "name": job.name} for job in view.usage.jobs],
    }


def _created(view: SecretView) -> Response:
    where = f"/api/v1/secrets/{quote(view.secret.name)}?scope={view.secret.scope}"
    return JSONResponse(secret_json(view), 201, {"Location": where})


@router.get("/secrets", **door(Permission.SECRET_LIST))
async def list_secrets(page: PageDependency, services: ServicesDependency, caller: CallerDependency) -> dict[str, Any]:
    """Your secrets and your team's, by name; never their values."""
    found = await secrets.page(services, caller, decode_cursor(page.cursor, 2), page.limit + 1)
    return page_of(found, page.limit, secret_json, lambda view: encode_cursor(view.secret.name, str(view.secret.id)))


@router.post("/secrets", status_code=201, **door(Permission.SECRET_CREATE, Action.SECRET_CREATED))
async def create_secret(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    body: SecretBody,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a secret for your own jobs or for your team's. Its value can be replaced but never read."""
    wish = Wish(body.name, body.value.get_secret_value(), body.scope)
    return await once(request, caller, lambda who: secrets.create(services, who, wish), _created)


@router.get("/secrets/{name}", **door(Permission.SECRET_VIEW))
async def get_secret(name: str, which: Which, services: ServicesDependency, caller: CallerDependency) -> dict[str, Any]:
    """What is known of a secret: its last four characters, its version, which of the jobs you may see use it."""
    return secret_json(await secrets.get(services, caller, which.address(name)))


@router.put("/secrets/{name}", **door(Permission.SECRET_EDIT, Action.SECRET_UPDATED))
async def replace_secret(
    name: str, which: Which, services: ServicesDependency, caller: CallerDependency, body: NewValueBody
) -> dict[str, Any]:
    """Give a secret a new value; attempts that start from now on get it."""
    if body.name is not None and body.name.lower() != name.lower():
        raise InvalidContent.of("name", "cannot be changed; make another secret and delete this one")
    address = which.address(name)
    if body.scope is not None and which.scope not in (None, body.scope):
        raise InvalidContent.of("scope", "contradicts the address")
    if body.scope is not None:
        address = Address(name, body.scope, address.owner, address.team)
    return secret_json(await secrets.replace_value(services, caller, address, body.value.get_secret_value()))


@router.delete("/secrets/{name}", status_code=204, **door(Permission.SECRET_DELETE, Action.SECRET_DELETED))
async def delete_secret(
    name: str, query: Annotated[DeletionQuery, Query()], services: ServicesDependency, caller: CallerDependency
) -> Response:
    """Delete a secret; one that jobs use only with `?force=true`."""
    await secrets.delete(services, caller, query.address(name), force=query.force)
    return Response(status_code=204)
