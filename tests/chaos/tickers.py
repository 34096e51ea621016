"""The jobs that tick meanwhile: of every overlap rule, half at the full minute and half all around the clock."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx

from tests.chaos.witness import Witness
from tests.running_platform import Platform

#: Their quota is a team's, so they belong to three.
OWNERS = ("maya", "rajesh", "admin")
LINES = 5
MINUTE = 60

#: (concurrency, catch_up): the first two promise that every tick runs, the others may skip one and say why.
POLICIES = (("allow", "all"), ("queue", "all"), ("skip", "all"), ("skip", "latest"))


@dataclass(frozen=True)
class Ticker:
    """A job as it was made."""

    number: int
    job_id: str
    owner: str
    created_at: datetime

    @property
    def interval(self) -> int:
        """Seconds between ticks; those of one job come at another second each time unless it is a minute."""
        return interval_of(self.number)

    @property
    def may_skip(self) -> bool:
        """Whether its overlap rule lets a tick pass."""
        return POLICIES[self.number % len(POLICIES)][0] == "skip"

    @property
    def attempts(self) -> int:
        """How many it takes to succeed."""
        return attempts_of(self.number)

    def ticks(self, until: datetime) -> list[datetime]:
        """Every tick since its creation: whole intervals since 1970."""
        first = int(self.created_at.timestamp()) // self.interval + 1
        moments = (datetime.fromtimestamp(n * self.interval, UTC) for n in count(first))
        return list(_up_to(moments, until))


def _up_to(moments: Iterator[datetime], until: datetime) -> Iterator[datetime]:
    for moment in moments:
        if moment > until:
            return
        yield moment


def interval_of(number: int) -> int:
    """A minute for every other job, a little more for the rest."""
    return MINUTE if number % 2 == 0 else MINUTE + number % 9


def attempts_of(number: int) -> int:
    """Each fifth job fails first."""
    return 2 if number % 5 == 0 else 1


def marks(execution_id: str, attempts: int) -> list[str]:
    """The log of an execution that succeeded."""
    return [
        f"{execution_id}/{attempt} line {line}" for attempt in range(1, attempts + 1) for line in range(1, LINES + 1)
    ]


def body(number: int, witness: Witness) -> dict[str, Any]:
    """The job as it is asked for."""
    concurrency, catch_up = POLICIES[number % len(POLICIES)]
    pause = (number % 8) / 2
    script = (
        f"{witness.call}"
        f'for line in $(seq {LINES}); do echo "$EXECUTION_ID/$ATTEMPT line $line"; sleep {pause}; done\n'
        f'[ "$ATTEMPT" -ge {attempts_of(number)} ] || exit 7\n'
    )
    interval = interval_of(number)
    schedule = {"schedule": "* * * * *"} if interval == MINUTE else {"interval_seconds": interval}
    return {
        "name": f"ticker {number}",
        "type": "shell",
        "script": script,
        "concurrency": concurrency,
        "catch_up": catch_up,
        "retry_policy": {"max_retries": 2, "retry_delay_seconds": 1},
        **schedule,
    }


def create(platform: Platform, count: int, witness: Witness) -> list[Ticker]:
    """Make them, a few at a time."""

    def make(number: int) -> Ticker:
        owner = OWNERS[number % len(OWNERS)]
        answer = clients[owner].post("/jobs", json=body(number, witness)).raise_for_status().json()
        return Ticker(number, answer["job_id"], owner, datetime.fromisoformat(answer["created_at"]))

    clients: dict[str, httpx.Client] = {owner: platform.client(owner) for owner in OWNERS}
    try:
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(make, range(count)))
    finally:
        for client in clients.values():
            client.close()
