"""One trial from an empty home to its verdict."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos import oracle, plan, tickers
from tests.chaos.oracle import Reader, Tick
from tests.chaos.surroundings import Surroundings, second_worker
from tests.chaos.witness import Witness, listening
from tests.running_platform import running, wait_until_ready


@dataclass(frozen=True)
class Trial:
    """How much is broken, and how long."""

    seed: int
    jobs: int
    seconds: float
    rounds: int
    #: For the last verdicts, after the last fault.
    settle_seconds: float


@dataclass(frozen=True)
class Verdict:
    """What came of it."""

    trial: Trial
    ticks: Sequence[Tick]
    faults: Sequence[str]
    happened: Sequence[tuple[float, str]]
    latencies: Sequence[float]

    def lines(self) -> Iterator[str]:
        """The figures, then what went wrong."""
        trial = self.trial
        yield f"seed {trial.seed}: {trial.jobs} jobs for {trial.seconds:g} s; {_counted(w for _, w in self.happened)}"
        yield f"{len(self.ticks)} ticks: {_counted(e['status'] for tick in self.ticks for e in tick.executions)}"
        missed = sum(not tick.executions for tick in self.ticks)
        doubled = sum(len(tick.executions) > 1 for tick in self.ticks)
        yield f"{missed} missed, {doubled} doubled, {len(self.faults)} faults"
        if len(self.latencies) > 1:
            yield f"script's own start minus its tick: {spread(self.latencies)}"
        yield from self.faults

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def story(self) -> str:
        """What was struck when."""
        return "\n".join(f"{moment:6.1f} s  {what}" for moment, what in self.happened)


def spread(seconds: Sequence[float]) -> str:
    """Median, p95 and the largest."""
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"median {statistics.median(seconds):.2f} s, p95 {p95:.2f} s, largest {max(seconds):.2f} s"


def run(home: Path, trial: Trial) -> Verdict:
    """Start everything, break it, let it come to rest, judge."""
    faults = plan.draw(trial.seed, trial.seconds, trial.rounds)
    with listening() as witness, running(home) as platform:
        made = tickers.create(platform, trial.jobs, witness)
        with second_worker(platform) as second:
            surroundings = Surroundings(platform, second)
            surroundings.suffer(faults, trial.seconds)
            until = datetime.now(UTC)
            surroundings.settle()
            wait_until_ready(platform)
            deadline = time.monotonic() + trial.settle_seconds
            with Reader(platform, deadline) as reader:
                ticks = oracle.settled_ticks(reader, made, until, deadline)
                return _verdict(trial, ticks, witness, surroundings, reader)


def _verdict(
    trial: Trial, ticks: Sequence[Tick], witness: Witness, surroundings: Surroundings, reader: Reader
) -> Verdict:
    # Jobs go on ticking; who starts from here on is no part of the judgement.
    heard = {id_: list(starts) for id_, starts in list(witness.starts.items())}
    judged = {execution["execution_id"] for tick in ticks for execution in tick.executions}
    faults = [fault for tick in ticks for fault in oracle.faults_of(tick, heard)]
    faults += oracle.started_twice(heard)
    faults += oracle.unknown(heard, judged.union(reader.known(heard.keys() - judged)))
    return Verdict(trial, ticks, faults, surroundings.happened, _latencies(ticks, witness))


def _latencies(ticks: Sequence[Tick], witness: Witness) -> list[float]:
    ids = [execution["execution_id"] for tick in ticks for execution in tick.executions]
    firsts = [start for id_ in ids for start in witness.starts.get(id_, ()) if start.attempt == 1]
    return [start.started_at - start.scheduled_for.timestamp() for start in firsts if start.scheduled_for]


def _counted(words: Iterator[str]) -> str:
    return ", ".join(f"{times} {word}" for word, times in Counter(words).most_common())
