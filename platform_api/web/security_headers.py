"""What every answer tells browsers: load nothing from elsewhere, run nothing inline, be framed by nobody."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platform_api.settings import Settings

#: Browsers' abilities that no page of ours needs.
_PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in ("accelerometer", "camera", "geolocation", "gyroscope", "microphone", "payment", "usb")
)

#: One year; of other hosts below this one we know nothing.
_HSTS = "max-age=31536000"


def content_security_policy(form_targets: tuple[str, ...] = ()) -> str:
    """The policy of every page. ``form_targets`` are origins that the answer to a form may lead to (sign-out)."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            " ".join(("form-action 'self'", *form_targets)),
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


class SecurityHeaders:
    """Pure ASGI, so that streams pass through it untouched. A header that a handler set itself stays."""

    def __init__(self, app: ASGIApp, settings: Settings, form_targets: Callable[[], tuple[str, ...]] = tuple) -> None:
        self._app = app
        self._form_targets = form_targets
        self._fixed = {
            "X-Content-Type-Options": "nosniff",
            # Not `no-referrer`: with it browsers send `Origin: null` with our own forms.
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": _PERMISSIONS,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Frame-Options": "DENY",
        }
        if urlsplit(settings.base_url).scheme == "https":
            self._fixed["Strict-Transport-Security"] = _HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add what the answer lacks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _complete(self, headers: MutableHeaders) -> None:
        for name, value in self._fixed.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", content_security_policy(self._form_targets()))
        # A page shows what one person may see: no cache keeps it, the back button after sign-out included.
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("Cache-Control", "no-store")
