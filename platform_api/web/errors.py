"""Error pages: what happened, what to do next, and the id to ask about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from platform_api.web.answers import is_htmx
from platform_api.web.rendering import render

#: Addresses of machines: they get problem documents, whatever they accept.
_MACHINES = ("/api/", "/health", "/metrics", "/static/")

#: What a reader can do about it, by status.
NEXT_STEP = {
    400: "Go back and mend what is named above; nothing was changed.",
    403: "Ask the owner of this, or an administrator, to do it or to give you the role for it.",
    404: "Check the address, or look for it in the list of jobs. It may have been deleted, or belong to another team.",
    405: "Go back to the page you came from and use its buttons.",
    409: "Look at it again: somebody, or something, was faster.",
    412: "Open it again to see what changed, and make your change on top of that.",
    413: "Send less than 1 MiB.",
    429: "Wait a moment, then try again.",
    500: "Try again. If it stays, tell your platform team the request id below.",
    503: "Try again in a moment; the platform is working on it.",
}


def wants_page(request: Request) -> bool:
    """Whether a person in a browser asks."""
    if request.url.path.startswith(_MACHINES):
        return False
    return "text/html" in request.headers.get("accept", "") or is_htmx(request)


def problem_page(request: Request, problem: Mapping[str, Any], headers: Mapping[str, str]) -> Response | None:
    """The page for a problem document; None where a machine asks and gets the document itself."""
    if not wants_page(request):
        return None
    status = int(problem["status"])
    kept = {name: value for name, value in headers.items() if name.lower() == "retry-after"}
    context = {"problem": problem, "next_step": NEXT_STEP.get(status, NEXT_STEP[500])}
    if is_htmx(request):
        # Beside what the reader has on the screen, which stays as it is.
        aside = {"HX-Retarget": "#notices", "HX-Reswap": "beforeend"}
        return render(request, "errors/notice.html", status, kept | aside, **context)
    return render(request, "errors/page.html", status, kept, **context)
