"""The long form, `make chaos`: prints its seed first and ends with 1 when it finds a fault.

`python -m tests.chaos [--jobs 200] [--minutes 10] [--seed N]`; a round of faults takes about 45 s.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.trial import Trial, run

ROUND_SECONDS = 45
SETTLE_SECONDS = 240


def main() -> int:
    """Break and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--keep", type=Path, help="an empty folder that keeps the home and all logs")
    options = parser.parse_args()
    seconds = options.minutes * 60
    trial = Trial(options.seed, options.jobs, seconds, max(1, round(seconds / ROUND_SECONDS)), SETTLE_SECONDS)
    print(
        f"the same again: python -m tests.chaos --seed {trial.seed} --jobs {trial.jobs} --minutes {options.minutes:g}"
    )
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        verdict = run((options.keep or Path(folder)) / "home", trial)
    print(verdict.story())
    print(verdict)
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
