"""What is taken from a script's process between its fork and its exec. Standard library only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from work_pools.executors.local import (
    cgroups,
    kernel,
    landlock,
    namespaces,
    new_root,
    own_user_process,
    privileges,
    processes,
    shared_root,
)
from work_pools.executors.local import isolation as levels
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import Order
from work_pools.executors.local.run_directory import RunDirectory

_PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
_DEVICES = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"]


class CannotConfine(Exception):
    """The script was not started, because it could have done what it must not; the text says what."""


def prepare_for_all(isolation: Isolation) -> None:
    """Called once in the launcher: what costs too much to do for each script, and what none of them may inherit.

    Raises ``CannotConfine``.
    """
    forget_signals()
    try:
        cgroups.open_folder(isolation.cpu_groups)
        if isolation.level == levels.NAMESPACES:
            _prepare_namespaces(isolation)
        _guard_ports(isolation)
    except OSError as error:
        raise CannotConfine(f"Scripts could not be isolated: {error}") from error


def _prepare_namespaces(isolation: Isolation) -> None:
    shared_root.replaceable(isolation)
    namespaces.enter_shared()
    shared_root.enter(isolation)
    kernel.forbid_new_privileges()
    if isolation.first_uid:
        kernel.drop_bounding_set()
        own_user_process.prepare_for_all()


def _guard_ports(isolation: Isolation) -> None:
    if isolation.network and isolation.guarded_ports and isolation.level != levels.NONE and landlock.guards_ports():
        landlock.guard_ports(isolation.guarded_ports)


def of_a_shim(isolation: Isolation) -> int:
    """Namespaces that a shim is forked into."""
    return namespaces.OF_A_SHIM if isolation.level == levels.NAMESPACES else 0


def hand_over(order: Order, directory: RunDirectory, uid: int | None) -> None:
    """Called in the shim before its script is forked: the script's folders become its user's."""
    if uid is not None:
        claimed = directory.code(order.claim)
        for path in (directory.work, directory.temporary, directory.at("code"), claimed, *_inside(claimed)):
            os.chown(path, uid, uid)


def signal_of(isolation: Isolation) -> Callable[[int, int], None]:
    """How a shim sends a signal to a script: to its process group and every other process that came of it."""
    if isolation.level == levels.NAMESPACES:
        return lambda _, number: processes.signal_namespace(number)
    return processes.signal_family


def own_user(isolation: Isolation, shim: int) -> int | None:
    """The number of a user that no other running script has: no other shim has this process id."""
    return isolation.first_uid + shim if isolation.first_uid and isolation.level == levels.NAMESPACES else None


def confine(isolation: Isolation, order: Order, directory: RunDirectory) -> None:
    """Called in the child, as its last act before it becomes the script. Raises ``CannotConfine``."""
    os.umask(0o022)
    for number in _PYTHONS_OWN:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.chdir(directory.work)
        _apply(isolation, order, directory)
    except OSError as error:
        raise CannotConfine(f"The script could not be isolated: {error}") from error


def _apply(isolation: Isolation, order: Order, directory: RunDirectory) -> None:
    if isolation.level == levels.NAMESPACES:
        new_root.enter(isolation, directory)
        if os.getuid() != 0:
            namespaces.enter_own_users()
    os.nice(isolation.niceness)
    privileges.limit(isolation, order)
    if isolation.level != levels.NONE:
        privileges.drop()
    if isolation.level == levels.LANDLOCK:
        readable = [*isolation.readable, directory.at("code"), "/proc"]
        landlock.confine_files(readable, [directory.work, directory.temporary, *isolation.writable, *_DEVICES])


def _inside(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in os.listdir(folder)]


def forget_signals() -> None:
    """Signals that are ignored or blocked would stay so in every script; caught ones reset themselves.

    For the launcher, once; ``confine`` undoes what Python and the launcher ignore on purpose.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if number not in _PYTHONS_OWN and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
