"""The OpenAPI document and a page to try it on, served from here alone: no CDN, no inline script."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from swagger_ui_bundle import swagger_ui_path

from platform_api.rest.job_body import BODY_SCHEMAS

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Job platform: API</title>
<link rel="stylesheet" href="docs/swagger-ui.css"><link rel="icon" href="docs/favicon-32x32.png"></head>
<body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body>
</html>
"""

_START = """SwaggerUIBundle({url: "docs/openapi-3.0.json", dom_id: "#swagger-ui", deepLinking: true});
"""

_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}

_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def install(app: FastAPI) -> None:
    """Serve the document at ``/api/openapi.json`` and its page at ``/api/docs``."""

    async def document(request: Request) -> Response:
        return JSONResponse(_document(app))

    async def for_the_page(request: Request) -> Response:
        return JSONResponse(as_3_0(_document(app)))

    app.add_route("/api/openapi.json", document, include_in_schema=False)
    app.add_route("/api/docs/openapi-3.0.json", for_the_page, include_in_schema=False)
    app.add_route("/api/docs", _page, include_in_schema=False)
    app.add_route("/api/docs/start.js", _start, include_in_schema=False)
    for name in _ASSETS:
        app.add_route(f"/api/docs/{name}", _asset, include_in_schema=False)


async def _page(request: Request) -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


async def _start(request: Request) -> Response:
    return Response(_START, media_type="text/javascript")


async def _asset(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return FileResponse(Path(swagger_ui_path) / name, media_type=_ASSETS[name])


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document: the routes' own, with the bodies and answers that the handlers read themselves."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, openapi_version="3.1.0", summary=app.summary, routes=app.routes
        )
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update({"Problem": _PROBLEM_SCHEMA, **BODY_SCHEMAS})
        components["securitySchemes"] = {
            "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        }
        for operation in _operations(document):
            _describe(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def _describe(operation: dict[str, Any]) -> None:
    """Say what the framework cannot know: who must sign in, the shape of a body, that 422 is never sent."""
    operation["responses"].pop("422", None)
    if "x-permission" in operation:
        operation["security"] = [{"ApiKey": []}, {"Bearer": []}]
    body = operation.pop("x-body", None)
    if body is not None:
        for media in operation["requestBody"]["content"].values():
            media["schema"] = {"$ref": f"#/components/schemas/{body}"}


def as_3_0(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the bundled page reads it: it knows OpenAPI 3.0, where null is a flag and no type."""
    older = json.loads(json.dumps(_without_null_types(deepcopy(document))))
    older["openapi"] = "3.0.3"
    older["info"].pop("summary", None)
    return older  # type: ignore[no-any-return]


def _without_null_types(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_null_types(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _without_null_types(value) for name, value in node.items()}
    choices = kept.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        others = [choice for choice in choices if choice != {"type": "null"}]
        kept.pop("anyOf")
        kept |= {"nullable": True, **(others[0] if len(others) == 1 else {"anyOf": others})}
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    return kept
