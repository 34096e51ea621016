"""What each process of a platform takes while something happens: private memory and CPU time."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from pathlib import Path

SAMPLE_SECONDS = 0.1
#: A sample of hundreds of processes takes a while itself; what is measured must not be the measuring.
SHARE_OF_A_CORE = 0.05

#: What tells a process's kind, by a word of its command line; PostgreSQL's backends write theirs anew.
KINDS = {
    "postgres": ("postgres",),
    "worker": ("cli.main", "worker"),
    "api": ("cli.main", "api"),
    "supervisor": ("cli.main", "up"),
    "prefect": ("prefect.server",),
    "shim": ("run_from_command_line",),
}


class ProcessWatch:
    """Samples every process below ``root``. Memory is the growth of that process of each kind which grew most since
    its first sample; CPU is that of all processes of a kind together.

    Memory is anonymous memory: PostgreSQL's backends share one cache, which no log makes larger.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._first: dict[int, int] = {}
        self._most: dict[int, int] = {}
        self._kinds: dict[int, str] = {}
        self._cpu_first: dict[int, float] = {}
        self._cpu: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_on)

    def __enter__(self) -> ProcessWatch:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def growth(self) -> dict[str, float]:
        """MiB by which the process of each kind that grew most has grown."""
        grown: dict[str, float] = defaultdict(float)
        for pid, kind in self._kinds.items():
            grown[kind] = max(grown[kind], (self._most[pid] - self._first[pid]) / 1024)
        return dict(grown)

    def cpu_seconds(self) -> dict[str, float]:
        """Seconds that all processes of each kind have spent."""
        spent: dict[str, float] = defaultdict(float)
        for pid, kind in self._kinds.items():
            spent[kind] += self._cpu[pid] - self._cpu_first[pid]
        return dict(spent)

    def _sample_on(self) -> None:
        pause = SAMPLE_SECONDS
        while not self._stop.wait(pause):
            begun = time.thread_time()
            self._sample()
            pause = max(SAMPLE_SECONDS, (time.thread_time() - begun) / SHARE_OF_A_CORE)

    def _sample(self) -> None:
        for pid in _family(self._root):
            kind = _kind(pid)
            size = _anonymous_kibibytes(pid)
            spent = _cpu_seconds(pid)
            if kind is None or size is None or spent is None:
                continue
            self._kinds[pid] = kind
            self._first.setdefault(pid, size)
            self._cpu_first.setdefault(pid, spent)
            self._cpu[pid] = spent
            self._most[pid] = max(self._most.get(pid, 0), size)


def _family(root: int) -> set[int]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
    family, found = set(), [root]
    while found:
        pid = found.pop()
        family.add(pid)
        found += children[pid]
    return family


def _kind(pid: int) -> str | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return None
    return next((kind for kind, words in KINDS.items() if all(word in command for word in words)), "script")


def _anonymous_kibibytes(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next((int(row.split()[1]) for row in status.splitlines() if row.startswith("RssAnon")), None)


def _cpu_seconds(pid: int) -> float | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    user, system = map(int, stat.rpartition(")")[2].split()[11:13])
    return (user + system) / os.sysconf("SC_CLK_TCK")
