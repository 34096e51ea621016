"""Rate limits at the door: who is counted when, and what an answer says of it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from platform_api.domain.errors import NotAuthenticated
from platform_api.ports.rate_limits import Allowance
from platform_api.use_cases import rate_limits
from platform_api.use_cases.rate_limits import OverLimit
from platform_api.use_cases.services import Services
from rbac.principal import Principal

_SHOWN = "rate_limit_allowance"

#: Where credentials come; a request without any is no guess.
_CREDENTIALS = ("x-api-key", "authorization")


@asynccontextmanager
async def counted(request: Request, address: str | None) -> AsyncIterator[None]:
    """Around finding out who sends a request: what comes from its address is counted, and credentials that fail.

    In this order, so that what is over a limit costs next to nothing: the address, its earlier wrong credentials,
    then whatever the caller does to check this one.
    """
    services: Services = request.app.state.services
    credential = "\n".join(value for name in _CREDENTIALS for value in request.headers.getlist(name))
    with _shown(request):
        await rate_limits.spend_address(services, address)
        if credential:
            await rate_limits.refuse_guesser(services, address, credential)
        try:
            yield
        except NotAuthenticated:
            if credential:
                await rate_limits.note_guess(services, address)
            raise
    services.limits.vouch(credential)


@contextmanager
def _shown(request: Request) -> Iterator[None]:
    try:
        yield
    except OverLimit as over:
        show(request, over.allowance)
        raise


async def within_limits(request: Request, principal: Principal, *, page: bool = False) -> None:
    """Count the request of a person who is known; ``page`` for the web UI's own pages. 429 beyond."""
    services: Services = request.app.state.services
    spend = rate_limits.spend_page if page else rate_limits.spend_request
    with _shown(request):
        show(request, await spend(services, principal.user_id))


def show(request: Request, allowance: Allowance) -> None:
    """Have the answer say what is left."""
    setattr(request.state, _SHOWN, allowance)


def add_headers(scope: Scope, headers: MutableHeaders) -> None:
    """``X-RateLimit-*`` on every answer to a request that was counted."""
    allowance = scope.get("state", {}).get(_SHOWN)
    if isinstance(allowance, Allowance):
        headers["X-RateLimit-Limit"] = str(allowance.limit.most)
        headers["X-RateLimit-Remaining"] = str(allowance.remaining)
        headers["X-RateLimit-Reset"] = str(math.ceil(allowance.reset_seconds))
