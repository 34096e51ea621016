"""The last of a script's rights: capabilities, limits, its place behind others. Standard library only."""

from __future__ import annotations

import resource
from contextlib import suppress

from work_pools.executors.local import kernel
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import Order

_OPEN_FILES = 1024
#: Between the number of processes that ends a script and the one that the kernel refuses: the end needs a cause.
_SPARE_PROCESSES = 32
#: No file, and where the kernel hands cores to a program, not that either: it takes 1, but not 0, for "never".
_NO_CORE_FILE = 1
#: Memory that is reserved costs nothing; this bounds how far a script gets between two looks at it.
_RESERVED_PER_USED, _RESERVED_AT_LEAST = 2, 512 << 20


def limit(isolation: Isolation, order: Order) -> None:
    """Limits of the kernel's own; the shim enforces those that have none (``usage``)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The worker's own soft limit is far higher; programs that use select() break with it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, _OPEN_FILES), hard))
    _lower(resource.RLIMIT_CORE, _NO_CORE_FILE)
    if isolation.is_off:
        return
    _lower(resource.RLIMIT_FSIZE, isolation.disk_bytes)
    if isolation.has_users:
        _lower(resource.RLIMIT_NPROC, isolation.processes + _SPARE_PROCESSES)
    if order.memory_bytes:
        _lower(resource.RLIMIT_DATA, order.memory_bytes * _RESERVED_PER_USED + _RESERVED_AT_LEAST)


def stand_back(isolation: Isolation, pid: int) -> None:
    """Put a script's session behind the platform's own processes where both want the same core.

    Where the kernel groups processes by session, a process's own niceness counts within its session alone.
    """
    with suppress(OSError), open(f"/proc/{pid}/autogroup", "w") as file:
        file.write(str(isolation.niceness))


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def drop() -> None:
    """For good, whatever the script executes."""
    kernel.drop_capabilities()
    kernel.forbid_new_privileges()
