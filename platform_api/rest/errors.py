"""The one table from what went wrong to what HTTP says: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from platform_api.domain.errors import (
    Conflict,
    FieldError,
    InvalidContent,
    LimitReached,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PlatformError,
    StaleVersion,
    Unavailable,
)
from platform_api.use_cases.once import AnsweredBefore

MEDIA_TYPE = "application/problem+json"

#: Every error of the platform: its status and its title.
STATUS_OF: dict[type[PlatformError], tuple[int, str]] = {
    InvalidContent: (400, "The request's content cannot be accepted"),
    NotAuthenticated: (401, "Who are you?"),
    NotAllowed: (403, "You may not do this"),
    NotFound: (404, "Not found"),
    Conflict: (409, "This contradicts what is stored"),
    StaleVersion: (412, "It has changed meanwhile"),
    LimitReached: (429, "A limit is reached"),
    Unavailable: (503, "Not available for now"),
}

#: What the framework itself says, in the same voice.
_FRAMEWORK_DETAIL = {
    404: "There is no such address.",
    405: "This address does not take this method.",
    413: "The request's body is larger than 1 MiB.",
}

#: Where pydantic's words need the platform's.
_PLAINER = {
    "missing": "is required",
    "extra_forbidden": "is not a known field; leave it out or mend its name",
    "json_invalid": "is no valid JSON: {error}",
    "dict_type": "must be a JSON object, sent with Content-Type: application/json",
    "model_attributes_type": "must be a JSON object, sent with Content-Type: application/json",
}


def problem(
    request: Request,
    status: int,
    title: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem document."""
    document: dict[str, Any] = {
        "type": f"urn:job-platform:problem:{HTTPStatus(status).phrase.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "request_id": request.scope.get("state", {}).get("request_id"),
    }
    if errors:
        document["errors"] = [{"field": fault.field, "message": fault.message} for fault in errors]
    page = _page(request, document, headers or {})
    if page is not None:
        return page
    # A text may hold half a surrogate pair that a client sent; as an escape it is still valid JSON.
    content = json.dumps(document).encode()
    return Response(content, status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _page(request: Request, document: Mapping[str, Any], headers: Mapping[str, str]) -> Response | None:
    """The same for people, where the application has pages (``platform_api.web.errors``) and one is asked for."""
    app = request.scope.get("app")
    page = getattr(app.state, "problem_page", None) if app is not None else None
    return cast(Response | None, page(request, document, headers)) if page else None


def for_platform_error(request: Request, error: PlatformError) -> Response:
    """The problem that a platform's error becomes."""
    status, title = next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)
    headers = {}
    if isinstance(error, LimitReached | Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'ApiKey realm="job-platform", Bearer realm="job-platform"'
    errors = error.errors if isinstance(error, InvalidContent) else ()
    return problem(request, status, title, str(error), errors=errors, headers=headers)


def for_framework_error(request: Request, error: HTTPException) -> Response:
    """The problem that an unknown address, a wrong method or an unreadable body becomes."""
    status = error.status_code
    if status == 400:
        return for_platform_error(request, InvalidContent.of("body", "cannot be read as JSON"))
    detail = _FRAMEWORK_DETAIL.get(status, str(error.detail))
    return problem(request, status, HTTPStatus(status).phrase, detail, headers=error.headers)


def for_validation_error(request: Request, error: RequestValidationError) -> Response:
    """The problem that parameters or a body of the wrong shape become: every fault with its field."""
    return for_platform_error(request, InvalidContent(field_errors(cast(Sequence[dict[str, Any]], error.errors()))))


def field_errors(faults: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's faults in the platform's words."""
    return [FieldError(_field(fault), _message(fault)) for fault in faults]


def _field(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return "body"
    place = [str(part) for part in fault["loc"]]
    if len(place) > 1 and place[0] in ("body", "query", "path", "header"):
        place = place[1:]
    return ".".join(place) or "body"


def _message(fault: Mapping[str, Any]) -> str:
    plainer = _PLAINER.get(str(fault["type"]))
    if plainer is not None:
        return plainer.format(**fault.get("ctx", {}) or {})
    words = str(fault["msg"])
    for prefix in ("Input should", "String should", "Value error, ", "List should", "Dictionary should"):
        if words.startswith(prefix):
            words = ("should" if prefix.endswith("should") else "") + words.removeprefix(prefix)
    return words


def internal_error(request: Request) -> Response:
    """What a fault of ours looks like from outside: an id to ask about, and nothing of its inside."""
    return problem(
        request, 500, "A fault of the platform", "Something went wrong on our side; tell us the request_id if it stays."
    )


def _answered_before(request: Request, error: AnsweredBefore) -> Response:
    answer = error.answer
    return Response(answer.body, answer.status, headers={**answer.headers, "Idempotency-Replayed": "true"})


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""
    handlers: dict[type[Exception], Any] = {
        PlatformError: for_platform_error,
        HTTPException: for_framework_error,
        RequestValidationError: for_validation_error,
        AnsweredBefore: _answered_before,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
