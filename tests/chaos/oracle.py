"""Judges what is left: what the API says about each tick against what the scripts themselves said."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from tests.chaos.tickers import Ticker, marks
from tests.chaos.witness import Start
from tests.running_platform import TERMINAL, Platform

RETRY_SECONDS = 1.0
ROUND_SECONDS = 1.0
#: Too many requests, and a dependency that is away.
BUSY = {429, 503}
NOT_FOUND = 404

Execution = Mapping[str, Any]


@dataclass(frozen=True)
class Tick:
    """A tick of a job, the executions that claim to be its own, and their logs."""

    ticker: Ticker
    moment: datetime
    executions: Sequence[Execution]
    logs: Mapping[str, list[str]]

    def __str__(self) -> str:
        return f"ticker {self.ticker.number} at {self.moment:%H:%M:%S}"

    @property
    def is_settled(self) -> bool:
        """Whether there is a verdict."""
        return bool(self.executions) and all(e["status"] in TERMINAL for e in self.executions)


def faults_of(tick: Tick, starts: Mapping[str, Sequence[Start]]) -> Iterable[str]:
    """Everything that is wrong with one tick."""
    if len(tick.executions) != 1:
        yield f"{tick}: {len(tick.executions)} executions"
    for execution in tick.executions:
        heard = starts.get(execution["execution_id"], ())
        match execution["status"]:
            case "success":
                yield from _faults_of_success(tick, execution, heard)
            case "skipped" if tick.ticker.may_skip and execution["reason"] and not heard:
                pass
            case status:
                told = f"{status} ({execution['reason'] or execution['error_message']}), {len(heard)} starts"
                yield f"{tick}: {told} {execution['execution_id']}"


def _faults_of_success(tick: Tick, execution: Execution, heard: Sequence[Start]) -> Iterable[str]:
    expected = list(range(1, tick.ticker.attempts + 1))
    id_ = execution["execution_id"]
    if sorted(start.attempt for start in heard) != expected:
        yield f"{tick}: attempts {expected} were to start, {[(s.attempt, s.pid) for s in heard]} did ({id_})"
    if [attempt["attempt"] for attempt in execution["attempts"]] != expected:
        yield f"{tick}: attempts {expected} were to be told, not {execution['attempts']} ({id_})"
    if any(start.scheduled_for != tick.moment for start in heard):
        yield f"{tick}: the script was told another tick ({id_})"
    if tick.logs.get(id_) != marks(id_, tick.ticker.attempts):
        yield f"{tick}: its log is not whole: {tick.logs.get(id_)} ({id_})"


def started_twice(starts: Mapping[str, Sequence[Start]]) -> Iterable[str]:
    """Attempts that more than one process ran, whatever the API says about them."""
    attempts = Counter((start.execution_id, start.attempt) for heard in starts.values() for start in heard)
    for (execution_id, attempt), times in attempts.items():
        if times > 1:
            yield f"attempt {attempt} of {execution_id} was started {times} times"


def unknown(starts: Mapping[str, Sequence[Start]], known: Iterable[str]) -> Iterable[str]:
    """Scripts that ran for an execution which the API does not know."""
    return (f"{id_} ran and is not known" for id_ in starts.keys() - set(known))


class Reader:
    """Reads through the API, which may be busy or just coming back."""

    def __init__(self, platform: Platform, deadline: float) -> None:
        self._client = platform.client("admin")
        self._deadline = deadline

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def executions(self, ticker: Ticker) -> list[Execution]:
        """All of a job's, oldest last; an execution in a list has no attempts."""
        found: list[Execution] = []
        cursor: str | None = None
        while True:
            parameters = {"limit": 200} | ({"cursor": cursor} if cursor else {})
            page = self._get(f"/jobs/{ticker.job_id}/executions", params=parameters).json()
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def execution(self, execution_id: str) -> Execution:
        """One with its attempts."""
        return dict(self._get(f"/executions/{execution_id}").json())

    def known(self, execution_ids: Iterable[str]) -> list[str]:
        """Those of them that the API knows."""
        return [id_ for id_ in execution_ids if self._found(f"/executions/{id_}")]

    def log(self, execution_id: str) -> list[str]:
        """Its lines."""
        return self._get(f"/executions/{execution_id}/logs", headers={"Accept": "text/plain"}).text.splitlines()

    def _get(self, path: str, **options: Any) -> httpx.Response:
        while (response := self._answer(path, options)) is None:
            assert time.monotonic() < self._deadline, f"{path} was not answered in time"
            time.sleep(RETRY_SECONDS)
        return response.raise_for_status()

    def _found(self, path: str) -> bool:
        try:
            self._get(path)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != NOT_FOUND:
                raise
            return False
        return True

    def _answer(self, path: str, options: Mapping[str, Any]) -> httpx.Response | None:
        try:
            response = self._client.get(path, **options)
        except httpx.TransportError:
            return None
        return None if response.status_code in BUSY else response


def settled_ticks(reader: Reader, tickers: Sequence[Ticker], until: datetime, deadline: float) -> list[Tick]:
    """Every tick up to ``until`` once all have their verdict, or as they are when the deadline has come."""
    settled: list[Tick] = []
    left = list(tickers)
    while True:
        last_round = time.monotonic() > deadline
        waiting: list[Ticker] = []
        for ticker in left:
            ticks = _ticks(reader, ticker, until)
            if last_round or all(tick.is_settled for tick in ticks):
                settled += ticks
            else:
                waiting.append(ticker)
        if not (left := waiting):
            return [_in_full(reader, tick) for tick in settled]
        time.sleep(ROUND_SECONDS)


def _ticks(reader: Reader, ticker: Ticker, until: datetime) -> list[Tick]:
    by_tick: defaultdict[datetime, list[Execution]] = defaultdict(list)
    for execution in reader.executions(ticker):
        by_tick[datetime.fromisoformat(execution["scheduled_for"])].append(execution)
    expected = ticker.ticks(until)
    beyond = [moment for moment in by_tick if moment <= until and moment not in expected]
    assert not beyond, f"ticker {ticker.number} was run at {beyond}, which are none of its ticks"
    return [Tick(ticker, moment, by_tick[moment], {}) for moment in expected]


def _in_full(reader: Reader, tick: Tick) -> Tick:
    executions = [reader.execution(execution["execution_id"]) for execution in tick.executions]
    logs = {e["execution_id"]: reader.log(e["execution_id"]) for e in executions if e["status"] != "skipped"}
    return Tick(tick.ticker, tick.moment, executions, logs)
