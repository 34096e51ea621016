"""The HTML of sign-in: refusals, maintenance, signed out, and the loopback provider's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from platform_api.identity.loopback.provider import SamplePerson
from platform_api.ports.identity import ProviderAway
from platform_api.web.session import CSRF_FIELD, csrf_token, login_address

_TEMPLATES = Path(__file__).parent / "templates"

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def maintenance(request: Request, away: ProviderAway, next_path: str) -> Response:
    """The provider is away: what goes on, and when to try again."""
    content = {"again": login_address(next_path), "seconds": away.retry_after_seconds}
    return _page(request, "maintenance", 503, content, {"Retry-After": str(away.retry_after_seconds)})


def refused(request: Request, status: int, title: str, reason: str) -> Response:
    """No entry, and why."""
    return _page(request, "refused", status, {"title": title, "reason": reason})


def signed_out(request: Request, still_in: bool) -> Response:
    """The end of sign-out."""
    token = csrf_token(request) if still_in else ""
    return _page(request, "signed_out", 200, {"still_in": still_in, "field": CSRF_FIELD, "token": token})


def pick_a_person(request: Request, people: Sequence[SamplePerson], query: Mapping[str, str]) -> Response:
    """The loopback provider's page: one button per sample user."""
    return _page(request, "loopback", 200, {"people": people, "query": query, "action": request.url.path})


def style() -> Response:
    """The pages' stylesheet."""
    return FileResponse(
        _TEMPLATES / "sign_in" / "style.css", media_type="text/css", headers={"Cache-Control": "max-age=3600"}
    )


def _page(
    request: Request, name: str, status: int, content: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    given = {"request_id": request.state.request_id, **content}
    html = _ENVIRONMENT.get_template(f"sign_in/{name}.html").render(given)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store", **(headers or {})})
