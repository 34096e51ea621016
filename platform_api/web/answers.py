"""What pages answer besides a page: on to another one, or a part for htmx."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from platform_api.web.flash import Tone, flash


def go(path: str, message: str | None = None, tone: Tone = "good") -> Response:
    """On to another page, after something was done."""
    response = RedirectResponse(path, 303)
    if message is not None:
        flash(response, message, tone)
    return response


def is_htmx(request: Request) -> bool:
    """Whether a part of a page is wanted, and not the whole."""
    return request.headers.get("hx-request") == "true" and "hx-history-restore-request" not in request.headers
