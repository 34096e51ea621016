"""What somebody who waits for the platform sees: one line per step, with the time it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Progress:
    """Prints to standard output, at once."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """One line, with the time since the start before it."""
        # Whoever reads may leave (`up | head`); the platform goes on.
        with suppress(BrokenPipeError):
            print(f"[{self.elapsed():5.1f} s] {text}", flush=True)

    @contextmanager
    def step(self, name: str, doing: str = "starting", done: str = "ready") -> Iterator[None]:
        """Announce a step, and say how long it took once it is done."""
        began = time.monotonic()
        self.say(f"{name} ... {doing}")
        yield
        self.say(f"{name} ... {done} after {time.monotonic() - began:.1f} s")
