"""The loop of a shim: output, signals, time limit, and the end of every process. Standard library only."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from work_pools.executors.local.capture import LogFile, Stream
from work_pools.executors.local.orders import Order
from work_pools.executors.local.run_directory import RunDirectory
from work_pools.executors.local.script_process import Script
from work_pools.executors.local.usage import Usage
from work_pools.executors.local.wakeups import wake_on_signals

#: How long what a script leaves behind may go on by itself, such as the ``tee`` of ``exec > >(tee file)``.
LINGER_SECONDS = 1.0
#: How long SIGKILL may take; a process in the kernel's hands (a dead network disk) may never die.
KILL_SECONDS = 5.0
#: Between two rounds of SIGKILL, which catch what was forked during the round before.
KILL_ROUND_SECONDS = 0.05
#: Reads of one stream after the last process is gone: more than the largest pipe holds.
DRAIN_READS = 64


class Watch:
    """Runs a script to its end. Made before the start is published, so that no signal is missed."""

    def __init__(
        self, directory: RunDirectory, order: Order, usage: Usage, signal_script: Callable[[int, int], None]
    ) -> None:
        self.script: Script
        #: Why the script was stopped, if it was: ``timed_out``, ``cancelled`` or ``limit_exceeded``.
        self.cause: str | None = None
        #: The script's wait status and the moment it ended, once it has.
        self.status: int | None = None
        self.ended_us: int | None = None
        #: What went wrong with watching, if anything.
        self.error: str | None = None
        self._directory, self._order, self._usage = directory, order, usage
        self._signal_script = signal_script
        self._poll = select.poll()
        self._streams: dict[int, Stream] = {}
        self._over = self._stopping = False
        self._give_up_at: float | None = None
        self._wakeups = wake_on_signals(signal.SIGTERM, signal.SIGCHLD)
        self._poll.register(self._wakeups, select.POLLIN)

    def begin(self, script: Script, log: LogFile) -> None:
        """Watch this script from now on."""
        self.script, self._log = script, log
        for name, descriptor in (("stdout", script.stdout), ("stderr", script.stderr)):
            self._streams[descriptor] = Stream(name, descriptor, self._log)
            self._poll.register(descriptor, select.POLLIN)
        self._at(self._order.timeout_seconds, self._time_out)
        if cause := self._cause_of_stop():
            self._stop(cause)

    def until_over(self) -> None:
        """Return when no process of the script is left and its output is in the log."""
        while not self._over:
            self._wait()
            self._reap()
            if self._deadline <= time.monotonic():
                self._act()
            self._look_at_usage()
        self._usage.close()
        self._drain()
        self.error = self.error or self._log.error

    def _wait(self) -> None:
        left = max(0.0, min(self._deadline, self._usage.due_at) - time.monotonic())
        for descriptor, _ in self._poll.poll(left * 1000 + 1):
            if descriptor in self._streams:
                self._read(self._streams[descriptor])
            elif signal.SIGTERM in os.read(self._wakeups, 4096):
                self._reap()
                self._stop(self._cause_of_stop())

    def _read(self, stream: Stream) -> None:
        stream.read()
        if stream.closed:
            self._poll.unregister(stream.descriptor)

    def _reap(self) -> None:
        """Collect what ended; orphans of the script end here too."""
        while not self._over:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._over = True
                return
            if pid == 0:
                return
            if pid == self.script.pid:
                self._script_ended(status)

    def _script_ended(self, status: int) -> None:
        self.status, self.ended_us = status, time.time_ns() // 1000
        if not self._stopping:
            self._at(LINGER_SECONDS, self._kill)

    def _cause_of_stop(self) -> str | None:
        """What a worker left; None when SIGTERM came from elsewhere, and then how the script ends is its own end."""
        with suppress(FileNotFoundError), open(self._directory.stop) as file:
            return file.read()
        return None

    def _look_at_usage(self) -> None:
        """Too much of anything is the end at once: whoever takes it has no right to a grace."""
        if self._over or self._usage.due_at > time.monotonic():
            return
        excess = self._usage.excess()
        if excess and self.cause != "limit_exceeded":
            self._stopping, self.cause, self.error = True, "limit_exceeded", excess
            self._kill()

    def _time_out(self) -> None:
        self._stop("timed_out")

    def _stop(self, cause: str | None) -> None:
        if self._stopping or self.status is not None:
            return
        self._stopping, self.cause = True, cause
        self._signal_script(self.script.pid, signal.SIGTERM)
        self._at(self._order.grace_seconds, self._kill)

    def _kill(self) -> None:
        now = time.monotonic()
        self._give_up_at = self._give_up_at or now + KILL_SECONDS
        if now > self._give_up_at:
            self.error, self._over = "Some of the script's processes do not react to SIGKILL.", True
        self._signal_script(self.script.pid, signal.SIGKILL)
        self._at(KILL_ROUND_SECONDS, self._kill)

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        self._deadline, self._act = time.monotonic() + seconds, act

    def _drain(self) -> None:
        """What is still in the pipes; they are not waited for, whoever may hold their other end."""
        for stream in self._streams.values():
            for _ in range(DRAIN_READS):
                if stream.closed or not stream.read():
                    break
            stream.finish()
