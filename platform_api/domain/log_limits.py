"""How much of a log is kept. Counted in the bytes that the script wrote.

Read by the shim too, which has nothing but the standard library.
"""

from __future__ import annotations

from typing import NamedTuple

MEGABYTE = 1024 * 1024


class LogLimits(NamedTuple):
    """A log of at most ``head_bytes + tail_bytes`` is kept whole; of a longer one its beginning and its end."""

    head_bytes: int = 40 * MEGABYTE
    tail_bytes: int = 10 * MEGABYTE

    @property
    def segment_bytes(self) -> int:
        """What the end is dropped by: a share of it, so that little more than the end is ever kept."""
        return max(1, self.tail_bytes // 10)


class Count(NamedTuple):
    """How many lines (pieces of very long ones count as lines) and bytes."""

    lines: int = 0
    bytes: int = 0


def cut_message(cut: Count, limits: LogLimits) -> str:
    """What readers see in place of the lines that were not kept."""
    lines = "1 line" if cut.lines == 1 else f"{cut.lines:,} lines"
    kept = f"its first {_megabytes(limits.head_bytes)} and its last {_megabytes(limits.tail_bytes)}"
    return f"[... {lines} ({cut.bytes:,} bytes) cut here: a log keeps {kept} ...]"


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.3g} MB"
