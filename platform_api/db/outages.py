"""Tells an error that says the database is away from one that says a statement was wrong."""

from __future__ import annotations

import psycopg
from sqlalchemy import exc

#: Classes of SQLSTATE: connection exception, shut down or starting up, out of connections, memory or disk.
_AWAY = ("08", "57P", "53")


def database_outage(error: BaseException) -> str | None:
    """Why the database is away, in one line, if that is what the error says."""
    if isinstance(error, exc.TimeoutError):
        return "all connections are in use"
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    if cause.sqlstate is not None and not cause.sqlstate.startswith(_AWAY):
        return None
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
