"""Namespaces of the launcher's and its scripts'. Standard library only.

A script's process namespace begins with its shim, which is its first process: the kernel gives it the orphans and
kills every other process when it dies, however these detached themselves.
"""

from __future__ import annotations

import os

from work_pools.executors.local import kernel, processes

#: For the fork of a shim.
OF_A_SHIM = kernel.CLONE_NEWPID


def enter_shared() -> None:
    """Called once in the launcher: a mount namespace; an ordinary user has no right to one outside a user namespace."""
    if os.getuid() == 0:
        kernel.unshare(kernel.CLONE_NEWNS)
    else:
        _become_owner(kernel.CLONE_NEWNS)


def enter_own_users() -> None:
    """A user namespace for one script of an ordinary user's: its processes are counted in it, apart from others'.

    It owns none of the namespaces that the script is in, and so has no power over them.
    """
    # Files in /proc of a hidden process are root's; what hid it goes with the exec anyway.
    processes.show_memory()
    _become_owner(0)


def _become_owner(others: int) -> None:
    user, group = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER | others)
    for name, content in (("uid_map", f"{user} {user} 1"), ("setgroups", "deny"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)
