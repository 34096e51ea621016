"""The oracle of the chaos trials sees each fault that it is there for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos import oracle, plan
from tests.chaos.oracle import Tick
from tests.chaos.tickers import Ticker, marks
from tests.chaos.witness import Start

MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
#: Succeeds at once, and must run at every tick.
STRICT = Ticker(4, "job", "maya", MOMENT - timedelta(seconds=90))
#: May be skipped.
LENIENT = Ticker(6, "job", "maya", MOMENT)
#: Fails first.
SLOW = Ticker(5, "job", "maya", MOMENT)


def execution(status: str = "success", attempts: Sequence[int] = (1,), **fields: Any) -> dict[str, Any]:
    told = [{"attempt": attempt} for attempt in attempts]
    return {"execution_id": "x", "status": status, "reason": None, "error_message": None, "attempts": told} | fields


def start(attempt: int = 1, moment: datetime = MOMENT) -> Start:
    return Start("x", attempt, moment, 100, MOMENT.timestamp())


def faults(
    ticker: Ticker, executions: Sequence[dict[str, Any]], starts: Sequence[Start], log: Sequence[str] | None = None
) -> list[str]:
    lines = marks("x", ticker.attempts) if log is None else list(log)
    return list(oracle.faults_of(Tick(ticker, MOMENT, executions, {"x": lines}), {"x": starts}))


def test_a_tick_that_ran_once_is_in_order() -> None:
    assert faults(STRICT, [execution()], [start()]) == []
    assert faults(SLOW, [execution(attempts=(1, 2))], [start(1), start(2)]) == []


def test_a_skip_is_in_order_where_it_is_allowed_explained_and_nothing_ran() -> None:
    skipped = execution("skipped", (), reason="Execution y was still running")
    assert faults(LENIENT, [skipped], []) == []
    assert faults(LENIENT, [skipped], [start()])
    assert faults(LENIENT, [skipped | {"reason": None}], [])
    assert faults(STRICT, [skipped], [])


@pytest.mark.parametrize("status", ["queued", "running", "failed", "crashed", "cancelled", "timed_out"])
def test_any_other_verdict_is_a_fault(status: str) -> None:
    assert faults(LENIENT, [execution(status)], [start()])


def test_none_and_two_executions_are_faults() -> None:
    assert faults(STRICT, [], [])
    assert faults(STRICT, [execution(), execution()], [start()])


@pytest.mark.parametrize("starts", [[], [start(), start()], [start(2)], [start(moment=MOMENT + timedelta(minutes=1))]])
def test_a_success_without_its_own_start_is_a_fault(starts: list[Start]) -> None:
    assert faults(STRICT, [execution()], starts)


def test_a_line_that_is_lost_doubled_or_out_of_order_is_a_fault() -> None:
    whole = marks("x", 1)
    for log in (whole[1:], whole[:-1], [*whole, whole[0]], whole[::-1], []):
        assert faults(STRICT, [execution()], [start()], log)


def test_an_attempt_that_began_twice_and_a_run_that_nobody_knows_are_faults() -> None:
    assert list(oracle.started_twice({"x": [start(1), start(2)]})) == []
    assert list(oracle.started_twice({"x": [start(), start()]}))
    assert list(oracle.unknown({"x": [start()]}, ["x"])) == []
    assert list(oracle.unknown({"x": [start()]}, ["y"]))


def test_the_ticks_of_a_job_are_those_of_the_calendar() -> None:
    assert STRICT.ticks(MOMENT) == [MOMENT - timedelta(minutes=1), MOMENT]


def test_a_plan_is_repeatable_in_time_and_strikes_every_target_in_every_round() -> None:
    faults = plan.draw(7, 120, 2)
    assert faults == plan.draw(7, 120, 2) != plan.draw(8, 120, 2)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(0 <= fault.at < 120 for fault in faults)
    for half in (faults[: len(plan.ROUND)], faults[len(plan.ROUND) :]):
        assert {fault.target for fault in half} == set(plan.ROUND)
