"""Which process is killed when: the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: One round. Every target is struck at least once in it; workers hold the most, so they are struck more often.
ROUND = ("worker", "worker", "second worker", "second worker", "prefect", "api", "postgres", "up")

#: Two faults may fall into one restart, so recoveries are disturbed as well.
SHORTEST_GAP_SECONDS = 1.0

#: How long whoever is not supervised stays down.
LONGEST_PAUSE_SECONDS = 3.0


@dataclass(frozen=True)
class Fault:
    """kill -9 of one process, so many seconds after the beginning."""

    at: float
    target: str
    pause: float


def draw(seed: int, seconds: float, rounds: int) -> list[Fault]:
    """Rounds in random order, at random moments."""
    dice = random.Random(seed)  # noqa: S311 - repeatable is what is wanted
    targets = [target for _ in range(rounds) for target in dice.sample(ROUND, len(ROUND))]
    slack = seconds - SHORTEST_GAP_SECONDS * len(targets)
    moments = sorted(dice.uniform(0, slack) for _ in targets)
    return [
        Fault(moment + SHORTEST_GAP_SECONDS * number, target, dice.uniform(0, LONGEST_PAUSE_SECONDS))
        for number, (moment, target) in enumerate(zip(moments, targets, strict=True))
    ]
