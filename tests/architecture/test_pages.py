"""Every page needs a session and, for changes, the anti-forgery token; what does not is named here."""

from __future__ import annotations

#: Here people get their session, or lose it.
OPEN = {
    ("GET", "/login"),
    ("GET", "/login/style.css"),
    ("GET", "/auth/callback"),
    ("GET", "/logout"),
}
