"""Every page, what it asks for and leaves behind, and what each person gets there.

As ``tests.route_table`` is for the API. A body is a form. Names in braces in it are made as those in the address are.
"""

from __future__ import annotations

from platform_api.audit.actions import Action
from rbac.permissions import Permission
from tests.route_table import Row

P, A = Permission, Action

#: What stands in an address, as in ``tests.route_table``.
JOB = "/jobs/{job_id}"
RUN = "/executions/{done}"
PREFECT = "/prefect/api/flows/"

#: Prefect's own pages cannot send our anti-forgery token; their door looks at where a change comes from instead.
DOORS = ("/prefect",)

#: Statuses that many rows share. A change leads on to the page that shows it.
#                ad  own mate view othr stra expi narr
EVERYBODY = "200 200 200 200 200 303 303 -"
OF_A_JOB = "200 200 404 200 404 303 303 -"
CHANGES_A_JOB = "303 303 404 403 404 303 303 -"
ADMINISTRATORS = "200 403 403 403 403 303 303 -"
ADMINISTRATORS_CHANGE = "303 403 403 403 403 303 303 -"
#: What is its owner's alone does not exist for the team, either.
OF_ONE_PERSON = "303 303 404 404 404 303 303 -"
#: 503: behind the door there is no Prefect in these tests; who sees that has got in.
INTO_PREFECT = "503 403 403 403 403 303 303 -"


def a_form(name: str) -> dict[str, str]:
    """A sound job as the form sends it."""
    fields = {"type": "python", "script": "print('hello')\r\n", "schedule_kind": "demand", "timezone": "UTC"}
    limits = {"timeout_minutes": "30", "max_retries": "0", "retry_delay_minutes": "5", "cpu": "1", "memory": "1Gi"}
    choices = {"concurrency": "skip", "catch_up": "latest", "priority": "normal"}
    return {"name": name} | fields | limits | choices


def a_secret_form(name: str) -> dict[str, str]:
    """A secret of one's own as the form sends it."""
    return {"name": name.replace(" ", "-"), "value": "correct horse", "scope": "own"}


#: What the forms of stored things send.
SECRET = {"name": "{secret}", "scope": "own", "owner": "maya@example.com"}
ACCOUNT = {"role": "job_creator", "team": "devops", "active": "on", "viewer_of": "platform"}
FAREWELL = {"typed": "{leaver_email}"}

PAGES: tuple[Row, ...] = (
    Row("GET", "/", P.DASHBOARD_VIEW, None, EVERYBODY),
    Row("GET", "/dashboard", P.DASHBOARD_VIEW, None, EVERYBODY),
    Row("GET", "/dashboard/week", P.DASHBOARD_VIEW, None, EVERYBODY),
    Row("POST", "/logout", P.PROFILE_VIEW, A.SIGNED_OUT, "303 303 303 303 303 303 303 -"),
    Row("GET", "/jobs", P.JOB_LIST, None, EVERYBODY),
    Row("GET", "/jobs/new", P.JOB_CREATE, None, "200 200 200 403 200 303 303 -"),
    Row("POST", "/jobs/new", P.JOB_CREATE, A.JOB_CREATED, "303 303 303 403 303 303 303 -", a_form),
    Row("GET", "/jobs/schedule-preview?schedule=@daily", P.SCHEDULE_PREVIEW, None, EVERYBODY),
    Row("GET", "/jobs/retry-preview?max_retries=2", P.SCHEDULE_PREVIEW, None, EVERYBODY),
    Row(
        "POST",
        "/jobs/bulk",
        P.JOB_EDIT,
        A.JOB_UPDATED,
        CHANGES_A_JOB,
        {"action": "tag", "tag": "many", "job_id": "{job_id}"},
    ),
    Row("GET", JOB, P.JOB_VIEW, None, OF_A_JOB),
    Row("GET", f"{JOB}/chart", P.METRICS_VIEW, None, OF_A_JOB),
    Row("GET", f"{JOB}/edit", P.JOB_EDIT, None, "200 200 404 403 404 303 303 -"),
    Row("POST", f"{JOB}/edit", P.JOB_EDIT, A.JOB_UPDATED, CHANGES_A_JOB, a_form),
    Row("POST", f"{JOB}/run", P.JOB_RUN, A.JOB_RUN, CHANGES_A_JOB, {"arguments": "", "env": ""}),
    Row("POST", f"{JOB}/enable", P.JOB_ENABLE, A.JOB_ENABLED, CHANGES_A_JOB),
    Row("POST", "/jobs/{active}/disable", P.JOB_DISABLE, A.JOB_DISABLED, CHANGES_A_JOB),
    Row("POST", f"{JOB}/delete", P.JOB_DELETE, A.JOB_DELETED, CHANGES_A_JOB),
    Row("POST", f"{JOB}/clone", P.JOB_CLONE, A.JOB_CLONED, CHANGES_A_JOB),
    Row("GET", f"{JOB}/versions", P.VERSION_VIEW, None, OF_A_JOB),
    Row(
        "POST",
        f"{JOB}/versions/rollback",
        P.JOB_ROLLBACK,
        A.JOB_ROLLED_BACK,
        CHANGES_A_JOB,
        {"version": "{version}", "seen": "{seen}"},
    ),
    Row("GET", "/executions", P.EXECUTION_LIST, None, EVERYBODY),
    Row("GET", "/executions/export", P.EXECUTION_EXPORT, A.EXECUTION_EXPORTED, EVERYBODY),
    Row("GET", RUN, P.EXECUTION_VIEW, None, OF_A_JOB),
    Row("GET", f"{RUN}/summary", P.EXECUTION_VIEW, None, OF_A_JOB),
    Row("POST", "/executions/{queued}/cancel", P.EXECUTION_CANCEL, A.EXECUTION_CANCELLED, CHANGES_A_JOB),
    Row("POST", f"{RUN}/retry", P.EXECUTION_RETRY, A.EXECUTION_RETRIED, CHANGES_A_JOB),
    Row("GET", f"{RUN}/log/download", P.LOG_VIEW, None, OF_A_JOB),
    Row("GET", f"{RUN}/log/lines", P.LOG_VIEW, None, OF_A_JOB),
    Row("GET", f"{RUN}/log/search?q=word", P.LOG_VIEW, None, OF_A_JOB),
    Row("GET", f"{RUN}/log/first-error", P.LOG_VIEW, None, OF_A_JOB),
    Row("GET", f"{RUN}/log/stream", P.LOG_VIEW, None, OF_A_JOB),
    Row("GET", "/dead-letters", P.DEAD_LETTER_LIST, None, EVERYBODY),
    Row(
        "POST",
        "/dead-letters/replay",
        P.DEAD_LETTER_REPLAY,
        A.DEAD_LETTER_REPLAYED,
        CHANGES_A_JOB,
        {"execution_id": "{failed}"},
    ),
    Row(
        "POST",
        "/dead-letters/dismiss",
        P.DEAD_LETTER_DISMISS,
        A.DEAD_LETTER_DISMISSED,
        CHANGES_A_JOB,
        {"execution_id": "{failed}"},
    ),
    Row("GET", "/audit", P.AUDIT_VIEW, None, ADMINISTRATORS),
    Row("GET", "/audit/export", P.AUDIT_VIEW, A.AUDIT_EXPORTED, ADMINISTRATORS),
    Row("GET", "/audit/verify", P.AUDIT_VERIFY, None, ADMINISTRATORS),
    Row("GET", "/api-keys", P.KEY_LIST, None, EVERYBODY),
    Row(
        "POST", "/api-keys", P.KEY_CREATE, A.KEY_CREATED, "201 201 201 201 201 303 303 -", {"name": "c", "reach": "all"}
    ),
    Row("POST", "/api-keys/{key}/rotate", P.KEY_ROTATE, A.KEY_ROTATED, "201 201 404 404 404 303 303 -"),
    Row("POST", "/api-keys/{key}/revoke", P.KEY_REVOKE, A.KEY_REVOKED, OF_ONE_PERSON),
    Row("GET", "/secrets", P.SECRET_LIST, None, "200 200 200 403 200 303 303 -"),
    Row("POST", "/secrets", P.SECRET_CREATE, A.SECRET_CREATED, "303 303 303 403 303 303 303 -", a_secret_form),
    Row("POST", "/secrets/replace", P.SECRET_EDIT, A.SECRET_UPDATED, OF_ONE_PERSON, SECRET | {"value": "another"}),
    Row("POST", "/secrets/delete", P.SECRET_DELETE, A.SECRET_DELETED, OF_ONE_PERSON, SECRET),
    Row("GET", "/teams", P.TEAM_LIST, None, ADMINISTRATORS),
    Row("POST", "/teams", P.TEAM_EDIT, A.TEAM_CREATED, ADMINISTRATORS_CHANGE, {"name": "new"}),
    Row("POST", "/teams/{empty_team}/rename", P.TEAM_EDIT, A.TEAM_UPDATED, ADMINISTRATORS_CHANGE, {"name": "newer"}),
    Row("POST", "/teams/{empty_team}/delete", P.TEAM_EDIT, A.TEAM_DELETED, ADMINISTRATORS_CHANGE),
    Row("GET", "/users", P.USER_LIST, None, ADMINISTRATORS),
    Row("GET", "/users/{user_id}", P.USER_VIEW, None, "200 200 404 404 404 303 303 -"),
    Row(
        "POST",
        "/users/{user_id}",
        P.USER_EDIT,
        A.USER_UPDATED,
        "303 403 404 404 404 303 303 -",
        ACCOUNT | {"version": "{account_version}"},
    ),
    Row("GET", "/users/{user_id}/export", P.USER_EXPORT, A.USER_EXPORTED, "200 200 404 404 404 303 303 -"),
    Row("POST", "/users/{leaver}/erase", P.USER_ERASE, A.USER_ERASED, "303 404 404 404 404 303 303 -", FAREWELL),
    Row("GET", "/system", P.SYSTEM_VIEW, None, ADMINISTRATORS),
    Row("GET", "/docs", P.PROFILE_VIEW, None, EVERYBODY),
    Row("GET", "/docs/explanation/logs", P.PROFILE_VIEW, None, EVERYBODY),
    Row("GET", "/prefect", P.PREFECT_USE, None, "307 403 403 403 403 303 303 -"),
    Row("GET", PREFECT, P.PREFECT_USE, None, INTO_PREFECT),
    Row("OPTIONS", PREFECT, P.PREFECT_USE, None, INTO_PREFECT),
    Row("POST", PREFECT, P.PREFECT_USE, A.PREFECT_CHANGED, INTO_PREFECT, {"name": "by hand"}),
    Row("PUT", PREFECT, P.PREFECT_USE, A.PREFECT_CHANGED, INTO_PREFECT, {"name": "by hand"}),
    Row("PATCH", PREFECT, P.PREFECT_USE, A.PREFECT_CHANGED, INTO_PREFECT, {"name": "by hand"}),
    Row("DELETE", PREFECT, P.PREFECT_USE, A.PREFECT_CHANGED, INTO_PREFECT),
)
