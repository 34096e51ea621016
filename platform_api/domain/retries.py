"""How long to wait before the next attempt (US-003)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

#: A backed-off delay never exceeds this, so that a job with five retries still ends within a day.
LONGEST_DELAY = timedelta(hours=4)

#: With ``jitter`` a delay is drawn from this share of itself around its nominal value.
JITTER_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which delay a failed attempt is followed by another."""

    max_retries: int = 0
    retry_delay_seconds: int = 300
    exponential_backoff: bool = False
    jitter: bool = False

    def has_another(self, attempt: int) -> bool:
        """Whether attempt number ``attempt`` (from 1) may be followed by another."""
        return attempt <= self.max_retries

    def delay_after(self, attempt: int, rng: random.Random | None = None) -> timedelta:
        """The wait after attempt number ``attempt`` (from 1): fixed, or doubled with each attempt."""
        factor = 2 ** (attempt - 1) if self.exponential_backoff else 1
        delay = min(timedelta(seconds=self.retry_delay_seconds * factor), LONGEST_DELAY)
        if not self.jitter:
            return delay
        # Spreading retries apart needs no cryptographic randomness.
        share = (rng or random).uniform(1 - JITTER_SHARE, 1 + JITTER_SHARE)
        return delay * share
