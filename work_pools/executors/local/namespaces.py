"""Process namespaces: what began in one ends with it, however it detached itself. Standard library only."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from work_pools.executors.local import kernel, processes
from work_pools.executors.local.wakeups import wake_on_signals

#: The first number behind the standard streams.
_KEPT = 3


def enter() -> int:
    """Have all further children of this process live in a namespace of their own, and return what keeps it open.

    Its first process is ours: it collects orphans, and the kernel kills every other one when it dies, which it
    does with the caller. It ends by itself once the descriptor is closed and no process is left.
    """
    if os.getuid() == 0:
        kernel.unshare(kernel.CLONE_NEWPID)
    else:
        _become_owner_of_namespaces()
    reading, keeping = os.pipe()
    if os.fork() == 0:
        _be_first_process(reading)
    os.close(reading)
    return keeping


def _become_owner_of_namespaces() -> None:
    """A user namespace lets an ordinary user make the others; this user keeps its number in it."""
    user, group = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID)
    # Files in /proc of a hidden process are root's.
    processes.show_memory()
    try:
        for name, content in (
            ("uid_map", f"{user} {user} 1"),
            ("setgroups", "deny"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(content)
    finally:
        processes.hide_memory()


def _be_first_process(keeping: int) -> None:
    """Never returns."""
    try:
        processes.die_with_parent()
        signal.set_wakeup_fd(-1)
        keeping = _close_all_but(keeping)
        wakeups = wake_on_signals(signal.SIGCHLD)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _collect_orphans(keeping, wakeups)
    finally:
        os._exit(0)


def _close_all_but(descriptor: int) -> int:
    """What others wait for must not be held open by a process that lives as long as the last orphan."""
    os.dup2(descriptor, _KEPT, inheritable=False)
    os.closerange(_KEPT + 1, os.sysconf("SC_OPEN_MAX"))
    return _KEPT


def _collect_orphans(keeping: int, wakeups: int) -> None:
    poll, is_kept = select.poll(), True
    poll.register(keeping, select.POLLIN)
    poll.register(wakeups, select.POLLIN)
    while _has_children() or is_kept:
        for descriptor, _ in poll.poll():
            if descriptor == keeping:
                is_kept = False
                poll.unregister(keeping)
            else:
                os.read(wakeups, 4096)


def _has_children() -> bool:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False
