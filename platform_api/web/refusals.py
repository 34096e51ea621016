"""What a browser sees instead of a page: the way to sign in, or why a change was not taken."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from platform_api.web import pages_of_sign_in as shown
from platform_api.web.session import Forged, SignInNeeded, login_address


def to_sign_in(request: Request, error: SignInNeeded) -> Response:
    """Off to ``/login``; a script's request (htmx) is told to take the whole page there."""
    address = login_address(error.next_path)
    if request.headers.get("hx-request") == "true":
        return Response("", 401, headers={"HX-Redirect": login_address("/"), "Cache-Control": "no-store"})
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def forged(request: Request, error: Forged) -> Response:
    """The change was not made, and why."""
    return shown.refused(request, 403, "This was not taken", str(error))


def install(app: FastAPI) -> None:
    """Answer these errors of pages in HTML."""
    handlers: dict[type[Exception], Any] = {SignInNeeded: to_sign_in, Forged: forged}
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
