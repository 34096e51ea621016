"""Small statistics and how they are printed."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0..1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> str:
    """Median, p95 and largest, in seconds."""
    return (
        f"median {percentile(values, 0.5):.3f} s, p95 {percentile(values, 0.95):.3f} s, "
        f"largest {max(values):.3f} s (n={len(values)})"
    )
