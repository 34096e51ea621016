"""A message that outlives one redirect: ``Saved. It runs next at ...``."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

_COOKIE = "flash"
_SECONDS = 60
_LONGEST = 500

Tone = Literal["good", "bad", "info"]


@dataclass(frozen=True, slots=True)
class Flash:
    """What to say, and whether it is good news."""

    text: str
    tone: Tone = "good"


def flash(response: Response, text: str, tone: Tone = "good") -> None:
    """Show ``text`` on the next page that this browser opens."""
    value = base64.urlsafe_b64encode(json.dumps([text[:_LONGEST], tone]).encode()).decode()
    response.set_cookie(_COOKIE, value, max_age=_SECONDS, httponly=True, samesite="lax", path="/")


def flashed(request: Request) -> Flash | None:
    """The message of the page before, if there is one that can be read."""
    value = request.cookies.get(_COOKIE)
    if not value:
        return None
    try:
        text, tone = json.loads(base64.urlsafe_b64decode(value))
    except (binascii.Error, ValueError, TypeError):
        return None
    return Flash(str(text)[:_LONGEST], tone) if tone in ("good", "bad", "info") else None


def shown(request: Request, response: Response) -> None:
    """It has been shown: once is enough."""
    if _COOKIE in request.cookies:
        response.delete_cookie(_COOKIE, path="/", httponly=True, samesite="lax")
