"""CPU time of everything a program starts, wherever its processes are reparented to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

ROOTS = (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup"))


class CpuAccount:
    """A control group of its own: `join` in the child before it starts, then `seconds` counts it and all it starts.

    Where control groups cannot be made (no root), the machine's busy time stands in, and `exact` is False.
    """

    def __init__(self, name: str) -> None:
        self._group = next((made for root in ROOTS if (made := _make(root / f"bench-{name}-{os.getpid()}"))), None)
        self.exact = self._group is not None

    def join(self) -> Callable[[], None]:
        """A `preexec_fn` that moves the starting process into the account."""
        group = self._group

        def enter() -> None:
            if group is not None:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        return enter

    def seconds(self) -> float:
        """CPU-seconds so far, user and system."""
        if self._group is None:
            return _busy_seconds()
        usage = self._group / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        stat = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
        return int(stat["usage_usec"]) / 1e6

    def close(self) -> None:
        """Remove the group once its last process is gone."""
        deadline = time.monotonic() + 10
        while self._group is not None and time.monotonic() < deadline:
            try:
                self._group.rmdir()
            except OSError:
                time.sleep(0.1)
            else:
                return


def _make(group: Path) -> Path | None:
    try:
        group.mkdir()
    except OSError:
        return None
    if (group / "cpuacct.usage").exists() or (group / "cpu.stat").exists():
        return group
    group.rmdir()
    return None


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
