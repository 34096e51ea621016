"""Takes each part of a real `up` down in turn while every-minute jobs tick, and asks what `catch_up` made of it.

`python -m tests.chaos.downtime [--minutes 1] [--parts worker,prefect,api,postgres,everything]`

A part goes down five seconds before a full minute and comes back two seconds behind the one that ends the downtime:
all ticks in between but the last are late by more than a minute then, so they are missed. To hold one part down, the
supervisor is stopped (SIGSTOP) while it is away. Ends with 1 at any tick that is not as the policy promises.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import httpx

from tests.chaos import oracle
from tests.chaos.oracle import Reader, Tick
from tests.chaos.surroundings import supervised
from tests.chaos.tickers import MINUTE, Ticker
from tests.chaos.witness import Start, Witness, listening
from tests.running_platform import Platform, running, start, wait_until_ready

PARTS = ("worker", "prefect", "api", "postgres", "everything")
#: Without these nothing starts.
NEEDED = {"worker", "postgres", "everything"}
CATCH_UP = ("latest", "none", "all")
CONCURRENCY = ("allow", "queue")

STRIKE_AT_SECOND = 55
#: Beyond the minutes, so that the first tick is more than a minute late and the last one is not.
LONGER_SECONDS = 7
SETTLE_SECONDS = 90


@dataclass
class Downtime:
    """One part, from when to when, and how long it took until everything was ready again."""

    part: str
    down: datetime
    back: datetime
    ready_seconds: float

    def missed(self, ticks: Sequence[datetime]) -> list[datetime]:
        """The ticks that nothing could start within a minute: all but the last one."""
        passed = [tick for tick in ticks if self.down < tick <= self.back]
        return passed[:-1] if self.part in NEEDED else []


@dataclass
class Trial:
    """What was done, and by whom it was seen."""

    platform: Platform
    witness: Witness
    tickers: dict[str, Ticker] = field(default_factory=dict)
    downtimes: list[Downtime] = field(default_factory=list)

    def create(self) -> None:
        """A job for each policy under each overlap rule."""
        script = f"{self.witness.call}echo ran\n"
        with self.platform.client("maya") as client:
            for number, (catch_up, concurrency) in enumerate(product(CATCH_UP, CONCURRENCY)):
                rules = {"catch_up": catch_up, "concurrency": concurrency}
                body = {"name": f"{catch_up} {concurrency}", "type": "shell", "script": script, **rules}
                answer = client.post("/jobs", json=body | {"schedule": "* * * * *"}).raise_for_status().json()
                created = datetime.fromisoformat(answer["created_at"])
                # Even numbers tick every minute.
                self.tickers[answer["job_id"]] = Ticker(2 * number, answer["job_id"], "maya", created)

    def catch_up_of(self, ticker: Ticker) -> str:
        """Its policy."""
        return list(product(CATCH_UP, CONCURRENCY))[ticker.number // 2][0]

    def take_down(self, part: str, seconds: float) -> None:
        """Hold it down for so long, then wait until all is ready."""
        down = datetime.now(UTC)
        if part == "everything":
            self.platform.process.kill()
            self.platform.process.wait()
            time.sleep(seconds)
            self.platform.process = start(self.platform.home, self.platform.port).process
        else:
            self._hold(part, seconds)
        back = datetime.now(UTC)
        wait_until_ready(self.platform)
        self.downtimes.append(Downtime(part, down, back, (datetime.now(UTC) - back).total_seconds()))

    def _hold(self, part: str, seconds: float) -> None:
        child = supervised(self.platform.home, part)
        assert child is not None, f"{part} does not run"
        self.platform.process.send_signal(signal.SIGSTOP)
        try:
            child.signal(signal.SIGKILL)
            time.sleep(seconds)
        finally:
            self.platform.process.send_signal(signal.SIGCONT)

    def judge(self) -> tuple[list[Tick], list[str]]:
        """Every tick up to now, and what is wrong."""
        until, deadline = datetime.now(UTC), time.monotonic() + SETTLE_SECONDS
        with Reader(self.platform, deadline) as reader:
            ticks = oracle.settled_ticks(reader, list(self.tickers.values()), until, deadline)
        heard = {id_: list(starts) for id_, starts in list(self.witness.starts.items())}
        faults = [fault for tick in ticks for fault in self._faults_of(tick, heard)]
        return ticks, faults + list(oracle.started_twice(heard)) + list(self._disorder(ticks, heard))

    def _faults_of(self, tick: Tick, heard: dict[str, list[Start]]) -> Iterator[str]:
        name = f"catch_up {self.catch_up_of(tick.ticker)}: {tick}"
        if len(tick.executions) != 1:
            yield f"{name} has {len(tick.executions)} executions"
            return
        (execution,) = tick.executions
        missed = any(tick.moment in d.missed(tick.ticker.ticks(d.back)) for d in self.downtimes)
        wanted = "skipped" if missed and self.catch_up_of(tick.ticker) != "all" else "success"
        starts = len(heard.get(execution["execution_id"], ()))
        if execution["status"] != wanted or starts != (wanted == "success"):
            yield f"{name} is {execution['status']} ({execution['reason']}) with {starts} starts, not {wanted}"
        elif wanted == "skipped" and not str(execution["reason"]).startswith("Missed"):
            yield f"{name} does not say that it was missed: {execution['reason']}"

    def _disorder(self, ticks: Sequence[Tick], heard: dict[str, list[Start]]) -> Iterator[str]:
        """What is made up for is run in order; those of ``allow`` begin together, and their first words race."""
        for ticker in self.tickers.values():
            if CONCURRENCY[ticker.number // 2 % len(CONCURRENCY)] == "allow":
                continue
            ids = [e["execution_id"] for tick in ticks if tick.ticker == ticker for e in tick.executions]
            begun = [start.started_at for id_ in ids for start in heard.get(id_, ())]
            if begun != sorted(begun):
                yield f"the ticks of ticker {ticker.number} were not run in order"


def run(home: Path, minutes: int, parts: Sequence[str]) -> int:
    """One part after the other, a verdict after each."""
    found: list[str] = []
    with listening() as witness, running(home) as platform:
        trial = Trial(platform, witness)
        trial.create()
        for part in parts:
            time.sleep(_until_second(STRIKE_AT_SECOND))
            trial.take_down(part, minutes * MINUTE + LONGER_SECONDS)
            ticks, faults = trial.judge()
            for line in _told(trial, ticks, faults):
                print(line, flush=True)
            found += faults
    return 1 if found else 0


def _told(trial: Trial, ticks: Sequence[Tick], faults: Sequence[str]) -> Iterator[str]:
    downtime = trial.downtimes[-1]
    seconds = (downtime.back - downtime.down).total_seconds()
    yield f"{downtime.part} down for {seconds:.0f} s, all ready {downtime.ready_seconds:.1f} s later"
    for catch_up in CATCH_UP:
        meanwhile = [
            execution
            for tick in ticks
            if trial.catch_up_of(tick.ticker) == catch_up and downtime.down < tick.moment <= downtime.back
            for execution in tick.executions
        ]
        counted = Counter(f"{e['status']} ({e['reason'] or e['triggered_by']})" for e in meanwhile)
        yield f"  {catch_up}: " + ", ".join(f"{times} {what}" for what, times in sorted(counted.items()))
    yield f"  {len(ticks)} ticks since the beginning, {len(faults)} faults"
    yield from (f"  {fault}" for fault in faults)


def _until_second(second: int) -> float:
    return (second - datetime.now(UTC).timestamp()) % MINUTE


def main() -> int:
    """Take down and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=1)
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="downtime-") as folder:
        try:
            return run(Path(folder) / "home", options.minutes, parts)
        except httpx.HTTPError as error:
            print(f"the platform did not answer: {error!r}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
