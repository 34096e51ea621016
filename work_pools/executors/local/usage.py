"""What a script's processes take together, and when it is too much. Standard library only.

The kernel's own limits count for one process or one user; a job's limits hold for the whole script, so its shim
looks: often while there is much, seldom while there is little.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

from work_pools.executors.local import cgroups
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import Order
from work_pools.executors.local.processes import cpu_seconds, descendants
from work_pools.executors.local.run_directory import RunDirectory

_SHORTEST_LOOK, _LONGEST_LOOK, _SLOWING = 0.1, 1.0, 2.0
#: Files are counted at most this often, and at most this share of the time.
_COUNT_SECONDS, _COUNT_SHARE = 1.0, 0.05
#: And while none of its processes computes, which hundreds of scripts that wait for something do not, so seldom.
_IDLE_COUNT_SECONDS = 5.0
#: What a script may compute before its cores are limited: more than an interpreter needs to begin.
_FREE_SECONDS = 0.25
_MACHINES_CORES = os.cpu_count() or 1
#: Many empty files fill a disk as well.
MOST_FILES = 200_000
_PAGE, _BLOCK = os.sysconf("SC_PAGE_SIZE"), 512


class Usage:
    """Of one script; ``pid`` is the machine's number of the process that is the ancestor of all of its processes."""

    def __init__(self, isolation: Isolation, order: Order, directory: RunDirectory, pid: int) -> None:
        self._isolation, self._order, self._pid = isolation, order, pid
        self._folders = (directory.work, directory.temporary)
        self._interval = _SHORTEST_LOOK
        self._next_count = self._next_idle_count = 0.0
        self._counted: dict[int, float] = {}
        self._unnamed_memory = 0
        self._cores: cgroups.Group | None = None
        #: When to look again.
        self.due_at = time.monotonic() + _SHORTEST_LOOK

    def excess(self) -> str | None:
        """The limit that is exceeded, in words; None while all is well."""
        computed = {pid: cpu_seconds(pid) for pid in descendants(self._pid)}
        pids = list(computed)
        self._limit_cores(computed)
        text = self._of_processes(pids) or self._of_disk(computed) or self._of_memory(pids)
        self.due_at = time.monotonic() + self._interval
        return text

    def close(self) -> None:
        """Once the script is over."""
        if self._cores:
            self._cores.remove()

    def _limit_cores(self, computed: Mapping[int, float]) -> None:
        """Those of a script that computes; moving the many that wait would cost more than it saves."""
        limit, folder = self._order.cpu_cores, cgroups.opened()
        if not limit or folder is None or limit >= _MACHINES_CORES:
            return
        try:
            if not self._cores and sum(computed.values()) > _FREE_SECONDS:
                self._cores = cgroups.Group.make(folder, self._pid, limit)
            if self._cores:
                self._cores.hold(self._pid)
        except OSError:
            # A worker that started removed it while it was still empty; the next look makes it again.
            self._cores = None

    def _of_processes(self, pids: list[int]) -> str | None:
        if not self._isolation.has_users or len(pids) <= self._isolation.processes:
            return None
        return f"process limit of {self._isolation.processes} exceeded"

    def _of_memory(self, pids: list[int]) -> str | None:
        limit = self._order.memory_bytes
        if not limit:
            self._interval = min(self._interval * _SLOWING, _LONGEST_LOOK)
            return None
        # Pages that several processes share count for each of them here; exactly is slow, and seldom needed.
        used = sum(map(_resident, pids)) + self._unnamed_memory
        self._interval = _SHORTEST_LOOK if used > limit / 2 else min(self._interval * _SLOWING, _LONGEST_LOOK)
        if used <= limit or sum(map(_own_share, pids)) + self._unnamed_memory <= limit:
            return None
        return memory_text(limit)

    def _of_disk(self, computed: dict[int, float]) -> str | None:
        begun = time.monotonic()
        if begun < (self._next_idle_count if computed == self._counted else self._next_count):
            return None
        limit, (size, files) = self._isolation.disk_bytes, self._count(list(computed))
        now = time.monotonic()
        self._counted, self._next_idle_count = computed, now + _IDLE_COUNT_SECONDS
        self._next_count = now + max(_COUNT_SECONDS, (now - begun) / _COUNT_SHARE)
        if files > MOST_FILES:
            return f"limit of {MOST_FILES} files exceeded"
        return f"disk limit of {amount(limit)} exceeded" if size > limit else None

    def _count(self, pids: list[int]) -> tuple[int, int]:
        size = files = 0
        for blocks in _files_below(*self._folders):
            size, files = size + blocks * _BLOCK, files + 1
            if size > self._isolation.disk_bytes or files > MOST_FILES:
                break
        disk = os.stat(self._folders[0]).st_dev
        nameless = _nameless_files(pids)
        self._unnamed_memory = sum(blocks * _BLOCK for (device, _), blocks in nameless.items() if device != disk)
        return size + sum(blocks * _BLOCK for (device, _), blocks in nameless.items() if device == disk), files


def memory_text(limit: int) -> str:
    """The verdict on a script that takes too much memory."""
    return f"memory limit of {amount(limit)} exceeded"


def amount(size: int) -> str:
    """In the largest unit in which it is a whole number, as people write such limits."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size / (1 << 20):.1f} MiB"


def _resident(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def _own_share(pid: int) -> int:
    """Memory with shared pages divided among those who share them; pages of files can be had back at any time."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        sizes = {line.split()[0]: int(line.split()[1]) for line in file.readlines()[1:]}
        return (sizes[b"Pss:"] - sizes.get(b"Pss_File:", 0)) * 1024
    return 0


def _files_below(*folders: str) -> Iterator[int]:
    """Blocks of each file; what vanishes meanwhile is not counted."""
    waiting = list(folders)
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    yield entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)


def _nameless_files(pids: list[int]) -> dict[tuple[int, int], int]:
    """Blocks of what is open but has no name any more, or never had one: deleted files and anonymous memory."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    status = os.stat(f"/proc/{pid}/fd/{name}")
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        found[status.st_dev, status.st_ino] = status.st_blocks
    return found
