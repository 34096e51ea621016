"""Starts a script under a user of its own without a copy of this process in between. Standard library only.

A shim of root's goes where its script shall be, becomes whom it shall be, spawns it there and comes back: the new
process executes at once and never sees the shim's memory. What it cannot take back is the child's by then: the exec
forgets the saved user that leads back to root, and with it every capability.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from work_pools.executors.local import kernel, new_root, privileges
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import Order
from work_pools.executors.local.run_directory import RunDirectory

#: Ignored by Python, or by the launcher; all others are as a new process has them.
_DEFAULT_AGAIN = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_DATA)


@cache
def _shared_mounts() -> int:
    return os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def prepare_for_all() -> None:
    """Called once in the launcher, in the mount namespace that its shims come back to."""
    os.umask(0o022)
    _shared_mounts()


def spawn(
    order: Order, directory: RunDirectory, isolation: Isolation, uid: int, streams: tuple[int, int]
) -> tuple[int, int]:
    """The script's process and the moment it began. Raises ``OSError`` or, for impossible arguments, ``ValueError``."""
    outputs = [(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams, start=1)]
    with _elsewhere(isolation, directory), _limited(isolation, order), _as_user(uid):
        started_us = time.time_ns() // 1000
        pid = os.posix_spawn(
            order.command[0],
            order.command,
            order.env,
            file_actions=outputs,
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_AGAIN,
        )
    return pid, started_us


@contextmanager
def _elsewhere(isolation: Isolation, directory: RunDirectory) -> Iterator[None]:
    try:
        new_root.enter(isolation, directory)
        yield
    finally:
        kernel.join(_shared_mounts(), kernel.CLONE_NEWNS)


@contextmanager
def _limited(isolation: Isolation, order: Order) -> Iterator[None]:
    before = [(kind, resource.getrlimit(kind)) for kind in _LIMITS]
    niceness = os.nice(isolation.niceness) - isolation.niceness
    try:
        privileges.limit(isolation, order)
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
        for kind, limits in before:
            # Without CAP_SYS_RESOURCE they stay: a shim needs little more than a script may have.
            with suppress(ValueError):
                resource.setrlimit(kind, limits)


@contextmanager
def _as_user(uid: int) -> Iterator[None]:
    try:
        os.setgroups([])
        os.setresgid(uid, uid, 0)
        os.setresuid(uid, uid, 0)
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
