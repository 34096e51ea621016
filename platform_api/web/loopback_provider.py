"""The doors of the loopback identity provider. Only a browser on this machine gets an answer."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from platform_api.identity.loopback.peers import Connection
from platform_api.identity.loopback.provider import PATH, PEOPLE, LoopbackProvider, RequestRefused
from platform_api.web import pages_of_sign_in as shown
from platform_api.web.loopback_hosts import is_loopback_address, is_loopback_host
from platform_api.web.session import services

#: What a proxy adds: then the browser may be anywhere.
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


async def provider(request: Request) -> LoopbackProvider:
    """The provider, for people on this machine alone; for everybody else there is nothing at this address.

    The name in ``Host`` must be this machine's as well: a page elsewhere whose name suddenly leads here (DNS
    rebinding) must not act as a person.
    """
    found = services(request).loopback
    peer = request.client.host if request.client else None
    local = is_loopback_address(peer) and is_loopback_host(request.headers.get("host", ""))
    if found is None or not local or any(name in request.headers for name in _PROXY_HEADERS):
        raise HTTPException(404)
    if await asyncio.to_thread(found.may_be_script, _connection(request)):
        raise HTTPException(404)
    return found


def _connection(request: Request) -> Connection:
    """The ports of both ends; a peer without any is nobody's."""
    server: tuple[str, int | None] = request.scope.get("server") or ("", None)
    return Connection(request.client.port if request.client else 0, server[1] or 0)


Provider = Annotated[LoopbackProvider, Depends(provider)]

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("/.well-known/openid-configuration")
async def discovery(provider: Provider) -> Response:
    """Where everything is."""
    return JSONResponse(provider.discovery())


@router.get("/jwks")
def jwks(provider: Provider) -> Response:
    """The public key; in a thread, for the first call makes it."""
    return JSONResponse(provider.jwks())


@router.get("/authorize")
async def pick(request: Request, provider: Provider) -> Response:
    """The page to pick one of the sample users."""
    query = dict(request.query_params)
    try:
        provider.check_authorization(query)
    except RequestRefused as error:
        return shown.refused(request, 400, "This is no sign-in of this platform", str(error))
    return shown.pick_a_person(request, list(PEOPLE.values()), query)


@router.post("/authorize")
async def picked(request: Request, provider: Provider) -> Response:
    """Back to the platform as the one who was picked."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    try:
        back = provider.authorize(form.pop("email", ""), form)
    except RequestRefused as error:
        return shown.refused(request, 400, "This is no sign-in of this platform", str(error))
    return RedirectResponse(back, 303, headers={"Cache-Control": "no-store"})


@router.post("/token")
async def token(request: Request, provider: Provider) -> Response:
    """Tokens for a code."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    try:
        return JSONResponse(provider.exchange(form), headers={"Cache-Control": "no-store"})
    except RequestRefused as error:
        return JSONResponse({"error": str(error)}, 400, headers={"Cache-Control": "no-store"})


@router.get("/end-session")
async def end_session(request: Request, provider: Provider) -> Response:
    """Nobody is signed in here, so there is nothing to end: back to the platform, and nowhere else."""
    wanted = request.query_params.get("post_logout_redirect_uri", "")
    own = urlsplit(provider.redirect_uri)
    there = urlsplit(wanted)
    back = wanted if (there.scheme, there.netloc) == (own.scheme, own.netloc) else f"{own.scheme}://{own.netloc}/"
    return RedirectResponse(back, 303, headers={"Cache-Control": "no-store"})
