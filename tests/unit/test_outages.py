"""An outage is told in one line when it begins and one when it is over, however many steps fail of it."""

from __future__ import annotations

import logging

import httpx
import psycopg
import pytest
from psycopg import errors
from sqlalchemy import exc

from work_pools.loops import until_done
from work_pools.outages import Outages, outages

REFUSED = exc.OperationalError("SELECT 1", {}, psycopg.OperationalError("connection refused\n\tIs it running?"))
REQUEST = httpx.Request("GET", "http://127.0.0.1/api")


def answer(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError(f"error {status}", request=REQUEST, response=httpx.Response(status, request=REQUEST))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (REFUSED, "The database is away since"),
        (exc.TimeoutError(), "The database is away since"),
        (psycopg.OperationalError("gone"), "The database is away since"),
        (exc.OperationalError("SELECT 1", {}, errors.AdminShutdown("terminating")), "The database is away since"),
        (ExceptionGroup("two", [ValueError(), REFUSED]), "The database is away since"),
        (httpx.ConnectError("All connection attempts failed"), "Prefect's server is away since"),
        (answer(503), "Prefect's server is away since"),
    ],
)
def test_an_outage_is_one_line_without_a_traceback(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seen = Outages()
    for step in ("Renewing the lease", "Shipping logs", "Renewing the lease"):
        seen.failed(step, error, "again in 1 s")
    (record,) = caplog.records
    assert record.getMessage().startswith(told)
    assert "\n" not in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a mistake of ours"),
        exc.OperationalError("UPDATE", {}, errors.DeadlockDetected("deadlock")),
        exc.ProgrammingError("SELECT", {}, errors.UndefinedTable("no such table")),
        answer(404),
        OSError("disk full"),
    ],
)
def test_what_no_outage_explains_keeps_its_traceback_each_time(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Outages()
    for _ in range(2):
        seen.failed("Shipping logs", error, "again in 1 s")
    assert [(record.levelno, bool(record.exc_info)) for record in caplog.records] == [(logging.ERROR, True)] * 2


def test_the_traceback_is_there_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Outages().failed("Shipping logs", REFUSED, "again in 1 s")
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]


def test_it_is_over_once_a_step_that_had_failed_succeeds_and_the_next_one_is_told_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    seen = Outages()
    seen.failed("Shipping logs", REFUSED, "again")
    seen.succeeded("Waiting for a run")
    assert len(caplog.records) == 1
    seen.succeeded("Shipping logs")
    assert caplog.records[1].getMessage().startswith("The database is back after 0.")
    seen.failed("Shipping logs", REFUSED, "again")
    assert len(caplog.records) == 3


async def test_steps_that_are_repeated_tell_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fails = iter([REFUSED, REFUSED])

    async def step() -> str:
        if error := next(fails, None):
            raise error
        return "done"

    assert await until_done("A step", step) == "done"
    assert [record.getMessage().split(" (")[0][:20] for record in caplog.records] == [
        "The database is away",
        "The database is back",
    ]
    outages.succeeded("A step")
