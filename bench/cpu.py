"""CPU time of everything a program starts, wherever its processes are reparented to."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
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

    def shares(self) -> Counter[str]:
        """CPU-seconds so far of the servers that live now; scripts and what watches them are the rest."""
        shares: Counter = Counter()
        for pid in (self._group / "cgroup.procs").read_text().split() if self._group else ():
            with suppress(FileNotFoundError, ProcessLookupError):
                if kind := _kind(Path(f"/proc/{pid}")):
                    shares[kind] += _process_seconds(Path(f"/proc/{pid}"))
        # Processes of a few milliseconds each show none in their own figures.
        shares["scripts and their shims"] = self.seconds() - sum(shares.values())
        shares["others on this machine"] = _busy_seconds() - self.seconds()
        return shares

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


#: A word of the command line, and who that is; the first that fits.
_KINDS = (
    ("prefect.server", "Prefect's server"),
    ("postgres", "PostgreSQL"),
    (" worker", "worker"),
    (" api", "API"),
)


def _kind(process: Path) -> str | None:
    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return next((kind for word, kind in _KINDS if word in command), None)


def _process_seconds(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
