"""The short form of `make chaos`: a minute of it, with jobs enough that every fault hits some of them."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos.trial import Trial, run

pytestmark = pytest.mark.xdist_group("chaos")

#: 200 jobs would take 40 s to make and to read beside the other tests on two cores.
JOBS = 48


def test_every_tick_has_one_verdict_whatever_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    verdict = run(tmp_path / "home", Trial(seed, JOBS, seconds=60, rounds=1, settle_seconds=60))
    print(f"CHAOS_SEED={seed}\n{verdict.story()}\n{verdict}")
    assert verdict.faults == [], f"CHAOS_SEED={seed}\n{verdict.story()}\n{verdict}"
    assert len(verdict.ticks) >= JOBS * 0.75
