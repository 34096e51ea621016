"""API keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.ports.api_keys import EVERYTHING, StoredKey
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door, once
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.jobs import IdempotencyKey
from platform_api.rest.moments import moment
from platform_api.rest.paging import PageQuery, decode_cursor, encode_cursor, page_of
from platform_api.use_cases import api_keys
from platform_api.use_cases.api_keys import HandedOver
from rbac.permissions import Permission
from rbac.scopes import Scope

router = APIRouter(tags=["API keys"])

#: No proxy and no browser may keep an answer that holds a key.
_NOT_KEPT = {"Cache-Control": "no-store"}


class KeysQuery(PageQuery):
    """Filters of the list."""

    owner: Annotated[str | None, Field(description="An e-mail address; for administrators.")] = None


class KeyBody(BaseModel):
    """What a new key is to be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, description="What tells it from your other keys.")]
    scopes: Annotated[
        list[Scope | Literal["*"]] | None,
        Field(min_length=1, description="What it may do; default: all that the credential of this request may."),
    ] = None
    expires_at: Annotated[AwareDatetime | None, Field(description="Default: in 90 days.")] = None


class RotateBody(BaseModel):
    """How one key follows another."""

    model_config = ConfigDict(extra="forbid")

    overlap_minutes: Annotated[
        int | None,
        Field(ge=0, le=10_080, strict=True, description="So long the old key goes on; 0 ends it at once."),
    ] = None
    expires_at: Annotated[AwareDatetime | None, Field(description="Default: a life as long as the old key's.")] = None


@router.get("/api-keys", **door(Permission.KEY_LIST))
async def list_api_keys(
    services: ServicesDependency, caller: CallerDependency, query: Annotated[KeysQuery, Query()]
) -> dict[str, Any]:
    """Your keys, newest first; an administrator sees everybody's. A key itself is never shown again."""
    refuse_unstorable(query.model_dump())
    found = await api_keys.page(services, caller, query.owner, _before(query.cursor), query.limit + 1)
    return page_of(found, query.limit, key_json, lambda key: encode_cursor(str(key.id)))


@router.post("/api-keys", status_code=201, **door(Permission.KEY_CREATE, Action.KEY_CREATED))
async def create_api_key(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    body: KeyBody,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a key of your own. It is answered once: a repeat under the same Idempotency-Key has `key: null`."""
    refuse_unstorable(body.model_dump(mode="json"))
    scopes = sorted({str(scope) for scope in body.scopes}) if body.scopes else None
    if scopes and EVERYTHING in scopes:
        scopes = [EVERYTHING]
    return await once(
        request,
        caller,
        lambda who: api_keys.create(services, who, body.name, scopes, body.expires_at),
        _handed_over,
        kept=_without_the_key,
    )


@router.get("/api-keys/{key_id}", **door(Permission.KEY_VIEW))
async def get_api_key(services: ServicesDependency, caller: CallerDependency, key_id: UUID) -> dict[str, Any]:
    """One key, without the key itself."""
    return key_json(await api_keys.get(services, caller, key_id))


@router.post("/api-keys/{key_id}/rotate", status_code=201, **door(Permission.KEY_ROTATE, Action.KEY_ROTATED))
async def rotate_api_key(
    request: Request,
    services: ServicesDependency,
    caller: CallerDependency,
    key_id: UUID,
    body: RotateBody | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a key in the place of another, which goes on for a while so that nothing stops in between."""
    wanted = body or RotateBody()
    return await once(
        request,
        caller,
        lambda who: api_keys.rotate(services, who, key_id, wanted.overlap_minutes, wanted.expires_at),
        _handed_over,
        kept=_without_the_key,
    )


@router.delete("/api-keys/{key_id}", status_code=204, **door(Permission.KEY_REVOKE, Action.KEY_REVOKED))
async def revoke_api_key(services: ServicesDependency, caller: CallerDependency, key_id: UUID) -> Response:
    """End a key at once."""
    await api_keys.revoke(services, caller, key_id)
    return Response(status_code=204)


def key_json(key: StoredKey) -> dict[str, Any]:
    """A key as it is shown."""
    return {
        "id": str(key.id),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "owner": key.owner,
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
        "replaced_by": str(key.replaced_by) if key.replaced_by else None,
    }


def _handed_over(made: HandedOver) -> Response:
    return _answer(made, made.plaintext)


def _without_the_key(made: HandedOver) -> Response:
    """What is kept for a repeat of the request: a stored key would be a stored password."""
    return _answer(made, None)


def _answer(made: HandedOver, plaintext: str | None) -> Response:
    document = {
        "id": str(made.id),
        "key": plaintext,
        "prefix": made.prefix,
        "scopes": list(made.scopes),
        "expires_at": moment(made.expires_at),
    }
    return JSONResponse(document, 201, headers={"Location": f"/api/v1/api-keys/{made.id}", **_NOT_KEPT})


def _before(cursor: str | None) -> UUID | None:
    place = decode_cursor(cursor, 1)
    try:
        return UUID(place[0]) if place else None
    except (ValueError, AttributeError, TypeError):
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page") from None
