"""Processes that must not outlive their parent, and those that did all the same."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


def dies_with_parent(death_signal: int, first: Callable[[], None] | None = None) -> Callable[[], None]:
    """What a child runs before its program: the kernel sends ``death_signal`` when the thread that made it ends.

    Children are therefore made by the supervisor's main thread only. ``first`` may change the user, which would
    clear the request, so it runs before.
    """
    parent = os.getpid()

    def before_exec() -> None:
        if first is not None:
            first()
        _LIBC.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the request was in place

    return before_exec


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for another one that got its number later."""

    pid: int
    #: In clock ticks since boot, as the kernel tells it.
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has this number now; None when there is none, or only its exit status is left."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The program's name is in brackets and may hold anything, so the fields are counted from its end.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return Identity.of(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal to this process and to no other one."""
        with _opened(self) as descriptor:
            if descriptor is not None:
                signal.pidfd_send_signal(descriptor, number)

    def wait(self, seconds: float) -> bool:
        """True once the process has ended, False when it has not by then."""
        with _opened(self) as descriptor:
            return descriptor is None or bool(select.select([descriptor], [], [], max(0.0, seconds))[0])


class _opened:  # noqa: N801 - reads as what it is: with _opened(process) as descriptor
    """A descriptor of the process, or None when it is gone: its number cannot be given away meanwhile."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._descriptor: int | None = None

    def __enter__(self) -> int | None:
        try:
            self._descriptor = os.pidfd_open(self._identity.pid)
        except ProcessLookupError:
            return None
        return self._descriptor if self._identity.is_alive() else None

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def end_leftovers(leftovers: list[Identity], grace_seconds: float) -> list[Identity]:
    """Wait for what a killed supervisor left behind, then kill it; the ones that were still there are returned."""
    found = [process for process in leftovers if process.is_alive()]
    deadline = time.monotonic() + grace_seconds
    for process in found:
        if not process.wait(deadline - time.monotonic()):
            process.signal(signal.SIGKILL)
            process.wait(5.0)
    return found
