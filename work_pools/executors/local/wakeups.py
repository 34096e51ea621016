"""Signals as something to poll for. Standard library only."""

from __future__ import annotations

import os
import signal
from types import FrameType


def wake_on_signals(*numbers: signal.Signals) -> int:
    """A descriptor that becomes readable, with the signal's number, when one of these signals comes."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, _ignore)
    return reading


def _ignore(number: int, frame: FrameType | None) -> None:
    """The wake-up is all that is wanted."""
