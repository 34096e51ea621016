"""The built scripts and styles: their addresses, and how they are served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from platform_api.domain.errors import NotFound, Unavailable

STATIC = Path(__file__).parent / "static"
PREFIX = "/static/"

#: A name holds the hash of its content, so what it names never changes.
_FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}
#: Compressed as they are.
_DENSE = frozenset({".woff2"})
#: Best first.
_TWINS = (("br", ".br"), ("gzip", ".gz"))


class Assets:
    """What ``platform_api.web.build`` made; read at the first question, so that a process may start without it."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._names: Mapping[str, str] | None = None

    def address(self, source: str) -> str:
        """Where a page finds the built form of ``source``; raises ``Unavailable`` before the first build."""
        if self._names is None:
            self._names = self._manifest()
        return PREFIX + self._names[source]

    def _manifest(self) -> Mapping[str, str]:
        try:
            return dict(json.loads((self._folder / "manifest.json").read_text())["assets"])
        except OSError as error:
            raise Unavailable("The pages are not built yet: run `python -m platform_api.web.build`.", 60) from error

    async def serve(self, request: Request) -> Response:
        """One file, compressed as the browser likes it best."""
        name = request.path_params["name"]
        path = self._folder / name
        media_type = _TYPES.get(path.suffix)
        if "/" in name or name.startswith(".") or media_type is None or not path.is_file():
            raise NotFound(f"There is no {PREFIX}{name}; reload the page, it names a newer one.")
        headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
        accepted = request.headers.get("accept-encoding", "")
        for encoding, suffix in _TWINS:
            if encoding in accepted and path.suffix not in _DENSE:
                path, headers["Content-Encoding"] = path.with_name(name + suffix), encoding
                break
        return FileResponse(path, headers=headers, media_type=media_type)

    def route(self) -> Route:
        """The one route that serves them."""
        return Route(PREFIX + "{name}", self.serve, methods=["GET", "HEAD"], include_in_schema=False)
