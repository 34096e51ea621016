"""Templates to responses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from platform_api import __version__
from platform_api.use_cases.caller import Caller
from platform_api.web import flash, navigation, words
from platform_api.web.assets import Assets
from platform_api.web.figures import bars
from platform_api.web.session import csrf_token
from platform_api.web.sparkline import share_bar, sparkline
from rbac.permissions import Permission
from rbac.principal import Principal
from rbac.roles import reaches

TEMPLATES = Path(__file__).parent / "templates"

assets = Assets()


def environment() -> Environment:
    """Everything is escaped, and a name that is not there is an error."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    env.filters |= {
        "duration": words.duration,
        "number": words.number,
        "percent": words.percent,
        "size": words.size,
        "moment": moment,
        "ago": ago,
        "utc": words.utc,
        "bars": bars,
        "pair": _pair,
        "same": _same,
    }
    env.globals |= {
        "asset": assets.address,
        "sparkline": sparkline,
        "share_bar": share_bar,
        "has_page": navigation.has_page,
        "version": __version__,
        "can_create": _can_create,
        "now": lambda: datetime.now(UTC),
    }
    return env


def moment(value: datetime | None, empty: str = "–") -> str | Markup:
    """A time: UTC on paper, in the reader's zone once the page's script has seen it."""
    if value is None:
        return empty
    return Markup('<time datetime="{}">{}</time>').format(words.machine_time(value), words.utc(value))


def ago(value: datetime | None, empty: str = "–") -> str | Markup:
    """A time as its distance from now; the exact one is its tip."""
    if value is None:
        return empty
    near = words.relative(value, datetime.now(UTC))
    return Markup('<time datetime="{}" data-relative title="{}">{}</time>').format(
        words.machine_time(value), words.utc(value), near
    )


def _pair(word: str) -> tuple[str, str]:
    """A choice and its words: ``timed_out``, ``timed out``."""
    return str(word), str(word).replace("_", " ")


def _same(word: str) -> tuple[str, str]:
    """A choice whose words are itself."""
    return word, word


def _can_create(principal: Principal | None) -> bool:
    """Whether buttons that make or change jobs make sense for this person at all."""
    return principal is not None and bool(reaches(principal.role, Permission.JOB_CREATE))


_environment = environment()


def render(
    request: Request,
    template: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """The template with what every page needs."""
    html = part(request, template, **context)
    response = HTMLResponse(html, status, headers={"Cache-Control": "no-store", **(headers or {})})
    flash.shown(request, response)
    return response


def part(request: Request, template: str, **context: Any) -> Markup:
    """The template's text, to be put into an answer of one's own."""
    return Markup(_environment.get_template(template).render(_shared(request) | context))  # noqa: S704 - escaped there


def _shared(request: Request) -> dict[str, Any]:
    known = getattr(request.state, "caller", None)
    principal = known.principal if isinstance(known, Caller) else None
    return {
        "request": request,
        "path": request.url.path,
        "request_id": request.scope.get("state", {}).get("request_id", ""),
        "principal": principal,
        "menu": navigation.menu(principal) if principal else {},
        "flash": flash.flashed(request),
        "banner": getattr(request.app.state, "maintenance_banner", None),
        "csrf_token": csrf_token(request),
    }
