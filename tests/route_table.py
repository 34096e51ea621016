"""Every route of the API, what it asks for and leaves behind, and what each person gets there.

The table of ``test_all_routes``; the rows of the pages are in ``tests.page_table``.

A new route needs a row here (or a line in ``OPEN``, if it asks nobody who they are), or the suite fails. What each
person tries, they try with things of Maya's: her job, her executions, her account, her team.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from platform_api.audit.actions import Action
from rbac.permissions import Permission
from tests.cast import hello

#: The columns of the table. `expired`: Maya with a key that has expired; `narrow`: the administrator with a key that
#: has every scope but the one that the route asks for. A page takes sessions, which have no scopes: its row has "-"
#: there, and 303, the way to the sign-in, where the API has 401.
WHO = ("admin", "owner", "mate", "viewer", "other", "stranger", "expired", "narrow")

P, A = Permission, Action

DENIED = (401, 403, 404)

#: What stands in an address: the name in braces is made by ``tests.things``.
JOB = "/api/v1/jobs/{job_id}"
RUN = "/api/v1/executions/{done}"
LETTER = "/api/v1/dead-letters/{failed}"
USER = "/api/v1/users/{user_id}"
TEAM = "/api/v1/teams/{empty_team}"
KEY = "/api/v1/api-keys/{key}"
SECRET = "/api/v1/secrets/{secret}?scope=own&owner=maya@example.com"


def a_secret(name: str) -> dict[str, Any]:
    """A body for ``POST /secrets``."""
    return {"name": name.replace(" ", "-"), "value": "correct horse", "scope": "own"}


@dataclass(frozen=True, slots=True)
class Row:
    """One route. Names in braces are made for each try."""

    method: str
    address: str
    permission: Permission
    #: What it leaves in the trail; None for what changes nothing.
    action: Action | None
    #: One status per column of ``WHO``.
    statuses: str
    body: Any = None

    @property
    def is_api(self) -> bool:
        """Whether it takes keys; a page takes sessions."""
        return self.address.startswith("/api/")

    @property
    def expected(self) -> dict[str, int]:
        """The status that each person gets."""
        columns = zip(WHO, self.statuses.split(), strict=True)
        return {who: int(status) for who, status in columns if status != "-"}

    @property
    def refused(self) -> list[str]:
        """Those who get nothing."""
        return [who for who, status in self.expected.items() if status in DENIED or (status == 303 and self._asks(who))]

    @staticmethod
    def _asks(who: str) -> bool:
        """Whether a page sends this one to the sign-in."""
        return who in ("stranger", "expired")


#                                                     ad  own mate view othr stra expi narr
ROWS: tuple[Row, ...] = (
    Row("POST", "/api/v1/jobs", P.JOB_CREATE, A.JOB_CREATED, "201 201 201 403 201 401 401 403", hello),
    Row("POST", "/api/v1/jobs/validate", P.JOB_VALIDATE, None, "200 200 200 403 200 401 401 403", hello),
    Row("GET", "/api/v1/jobs", P.JOB_LIST, None, "200 200 200 200 200 401 401 403"),
    Row("GET", JOB, P.JOB_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row("PUT", JOB, P.JOB_EDIT, A.JOB_UPDATED, "200 200 404 403 404 401 401 403", hello),
    Row("PATCH", JOB, P.JOB_EDIT, A.JOB_UPDATED, "200 200 404 403 404 401 401 403", {"tags": ["x"]}),
    Row("DELETE", JOB, P.JOB_DELETE, A.JOB_DELETED, "204 204 404 403 404 401 401 403"),
    Row("POST", f"{JOB}/enable", P.JOB_ENABLE, A.JOB_ENABLED, "200 200 404 403 404 401 401 403"),
    Row("POST", "/api/v1/jobs/{active}/disable", P.JOB_DISABLE, A.JOB_DISABLED, "200 200 404 403 404 401 401 403"),
    Row("POST", f"{JOB}/clone", P.JOB_CLONE, A.JOB_CLONED, "201 201 404 403 404 401 401 403"),
    Row("GET", f"{JOB}/versions", P.VERSION_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row("GET", f"{JOB}/versions/{{version}}", P.VERSION_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row("GET", f"{JOB}/versions/{{old}}/diff/{{new}}", P.VERSION_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row(
        "POST", f"{JOB}/rollback", P.JOB_ROLLBACK, A.JOB_ROLLED_BACK, "200 200 404 403 404 401 401 403", {"version": 1}
    ),
    Row("POST", f"{JOB}/run", P.JOB_RUN, A.JOB_RUN, "202 202 404 403 404 401 401 403"),
    Row("GET", f"{JOB}/executions", P.EXECUTION_LIST, None, "200 200 404 200 404 401 401 403"),
    Row("GET", f"{JOB}/metrics", P.METRICS_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row("GET", "/api/v1/executions", P.EXECUTION_LIST, None, "200 200 200 200 200 401 401 403"),
    Row(
        "GET", "/api/v1/executions/export", P.EXECUTION_EXPORT, A.EXECUTION_EXPORTED, "200 200 200 200 200 401 401 403"
    ),
    Row("GET", RUN, P.EXECUTION_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row("GET", f"{RUN}/logs", P.LOG_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row("GET", f"{RUN}/logs/stream", P.LOG_VIEW, None, "200 200 404 200 404 401 401 403"),
    Row("POST", f"{RUN}/retry", P.EXECUTION_RETRY, A.EXECUTION_RETRIED, "202 202 404 403 404 401 401 403"),
    Row(
        "POST",
        "/api/v1/executions/{queued}/cancel",
        P.EXECUTION_CANCEL,
        A.EXECUTION_CANCELLED,
        "202 202 404 403 404 401 401 403",
    ),
    Row("GET", "/api/v1/dead-letters", P.DEAD_LETTER_LIST, None, "200 200 200 200 200 401 401 403"),
    Row("POST", f"{LETTER}/replay", P.DEAD_LETTER_REPLAY, A.DEAD_LETTER_REPLAYED, "202 202 404 403 404 401 401 403"),
    Row("DELETE", LETTER, P.DEAD_LETTER_DISMISS, A.DEAD_LETTER_DISMISSED, "204 204 404 403 404 401 401 403"),
    Row("GET", "/api/v1/dashboard", P.DASHBOARD_VIEW, None, "200 200 200 200 200 401 401 403"),
    Row(
        "GET", "/api/v1/schedule/preview?expression=@daily", P.SCHEDULE_PREVIEW, None, "200 200 200 200 200 401 401 200"
    ),
    Row("GET", "/api/v1/users/me", P.PROFILE_VIEW, None, "200 200 200 200 200 401 401 200"),
    Row("GET", "/api/v1/users", P.USER_LIST, None, "200 403 403 403 403 401 401 403"),
    Row("GET", USER, P.USER_VIEW, None, "200 200 404 404 404 401 401 403"),
    Row("PUT", USER, P.USER_EDIT, A.USER_UPDATED, "200 403 404 404 404 401 401 403", {"viewer_of": ["platform"]}),
    Row("GET", f"{USER}/export", P.USER_EXPORT, A.USER_EXPORTED, "200 200 404 404 404 401 401 403"),
    Row("DELETE", "/api/v1/users/{leaver}", P.USER_ERASE, A.USER_ERASED, "204 404 404 404 404 401 401 403"),
    Row("GET", "/api/v1/teams", P.TEAM_LIST, None, "200 403 403 403 403 401 401 403"),
    Row("GET", TEAM, P.TEAM_LIST, None, "200 403 403 403 403 401 401 403"),
    Row("POST", "/api/v1/teams", P.TEAM_EDIT, A.TEAM_CREATED, "201 403 403 403 403 401 401 403", {"name": "new"}),
    Row("PUT", TEAM, P.TEAM_EDIT, A.TEAM_UPDATED, "200 403 403 403 403 401 401 403", {"name": "newer"}),
    Row("DELETE", TEAM, P.TEAM_EDIT, A.TEAM_DELETED, "204 403 403 403 403 401 401 403"),
    Row("GET", "/api/v1/audit-logs", P.AUDIT_VIEW, None, "200 403 403 403 403 401 401 403"),
    Row("GET", "/api/v1/audit-logs/verify", P.AUDIT_VERIFY, None, "200 403 403 403 403 401 401 403"),
    Row("GET", "/api/v1/api-keys", P.KEY_LIST, None, "200 200 200 200 200 401 401 403"),
    Row("POST", "/api/v1/api-keys", P.KEY_CREATE, A.KEY_CREATED, "201 201 201 201 201 401 401 403", {"name": "ci"}),
    Row("GET", KEY, P.KEY_VIEW, None, "200 200 404 404 404 401 401 403"),
    Row("POST", f"{KEY}/rotate", P.KEY_ROTATE, A.KEY_ROTATED, "201 201 404 404 404 401 401 403"),
    Row("DELETE", KEY, P.KEY_REVOKE, A.KEY_REVOKED, "204 204 404 404 404 401 401 403"),
    Row("GET", "/api/v1/secrets", P.SECRET_LIST, None, "200 200 200 403 200 401 401 403"),
    Row("POST", "/api/v1/secrets", P.SECRET_CREATE, A.SECRET_CREATED, "201 201 201 403 201 401 401 403", a_secret),
    Row("GET", SECRET, P.SECRET_VIEW, None, "200 200 404 404 404 401 401 403"),
    Row("PUT", SECRET, P.SECRET_EDIT, A.SECRET_UPDATED, "200 200 404 404 404 401 401 403", {"value": "another one"}),
    Row("DELETE", SECRET, P.SECRET_DELETE, A.SECRET_DELETED, "204 204 404 404 404 401 401 403"),
)

#: Routes that ask nobody who they are, and why that is right.
OPEN: dict[str, str] = {
    "/health": "for load balancers and people who look for a fault; names no job and no person",
    "/health/live": "for Kubernetes",
    "/health/ready": "for Kubernetes",
    "/metrics": "for Prometheus; counts, no names",
    "/api/openapi.json": "the contract",
    "/api/docs": "the contract's page, and what it loads",
    "/api/docs/openapi-3.0.json": "the contract",
    "/api/docs/start.js": "a static file",
    "/api/docs/swagger-ui.css": "a static file",
    "/api/docs/swagger-ui-bundle.js": "a static file",
    "/api/docs/favicon-32x32.png": "a static file",
    "/login": "begins the sign-in",
    "/login/style.css": "a static file",
    "/static/{name}": "scripts and styles of the pages; they say nothing about anybody",
    "/auth/callback": "where the identity provider sends people back to; trusts what it can check alone",
    "/logout": "says that the session is over",
    "/loopback-idp/.well-known/openid-configuration": "the embedded default's identity provider, on loopback only",
    "/loopback-idp/jwks": "its public keys",
    "/loopback-idp/authorize": "its page with a button per sample user",
    "/loopback-idp/token": "takes a code that it has given out, with the proof that belongs to it",
    "/loopback-idp/end-session": "has no session to end",
}
