"""What Linux knows about processes, for the shim and for whoever looks for it. Standard library only."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from functools import cache
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
#: What was forked during one round of SIGKILL is found by the next.
_KILL_ROUNDS = 20
_TICKS = os.sysconf("SC_CLK_TCK")
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def adopt_orphans() -> None:
    """From now on a descendant whose parent dies becomes this process's child, however it detached itself."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """SIGKILL for this process, and what it executes, when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def hide_memory() -> None:
    """Close /proc/self/{mem,environ,fd} and ptrace to other processes of the same user; inherited by forks."""
    _prctl(_PR_SET_DUMPABLE, 0)


def show_memory() -> None:
    """Undo ``hide_memory``."""
    _prctl(_PR_SET_DUMPABLE, 1)


@cache
def boot_id() -> str:
    """The same until the machine restarts."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the state on (the name before it may hold anything), None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_ticks(pid: int) -> int | None:
    """When the process started, in ticks since boot: with its id, what tells it from a later one."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def own_pid() -> int:
    """This process's number in the machine's /proc; in a process namespace of its own it goes by another."""
    return int(os.readlink("/proc/self"))


def identity(pid: int) -> dict[str, Any]:
    """What ``open_pidfd`` needs to find this very process again."""
    return {"pid": pid, "start_ticks": start_ticks(pid), "boot_id": boot_id()}


def open_pidfd(known: dict[str, Any] | None) -> int | None:
    """A descriptor of exactly the process that ``identity`` described, None when it is gone or was never known."""
    if not known:
        return None
    try:
        descriptor = os.pidfd_open(known["pid"])
    except ProcessLookupError:
        return None
    # Looked at after opening: the descriptor cannot come to mean another process, the number could.
    fields = _stat(known["pid"])
    if fields and fields[0] not in "ZX" and int(fields[19]) == known["start_ticks"] and boot_id() == known["boot_id"]:
        return descriptor
    os.close(descriptor)
    return None


def inner_pid(pid: int) -> int | None:
    """The number by which a process goes in its own process namespace, None when it is gone."""
    with suppress(OSError), open(f"/proc/{pid}/status") as file:
        return next((int(line.split()[-1]) for line in file if line.startswith("NSpid:")), pid)
    return None


def cpu_seconds(pid: int) -> float:
    """What a process and those of its children that it has waited for have computed."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def children(pid: int) -> list[int]:
    """The children of one single-threaded process."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return [child for child in all_processes() if (fields := _stat(child)) and int(fields[1]) == pid]


def descendants(pid: int) -> list[int]:
    """Children and theirs, as far as they stand still while this looks."""
    found = children(pid)
    for child in found:
        found.extend(children(child))
    return found


def all_processes() -> list[int]:
    """Every process of the machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def signal_namespace(number: int) -> None:
    """Send a signal to every other process of the namespace whose first process calls this."""
    with suppress(ProcessLookupError):
        os.kill(-1, number)


def signal_family(group: int, number: int) -> None:
    """Send a signal to the process group and to every other descendant of the calling process."""
    groups = {pid: _group_of(pid) for pid in descendants(os.getpid())}
    # With no descendant left in the group its number may belong to a stranger by now.
    if group in groups.values():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for pid in (pid for pid, its_group in groups.items() if its_group != group):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _group_of(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def kill_left(marker: bytes, session: dict[str, Any] | None) -> None:
    """SIGKILL what a script left when nobody watched it any more.

    That is every process that has ``marker`` (``NAME=value``) in its environment or belongs to the script's session.
    """
    for _ in range(_KILL_ROUNDS):
        left = [pid for pid in all_processes() if _has_marker(pid, marker) or _in_session(pid, session)]
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return


def _has_marker(pid: int, marker: bytes) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return marker in file.read().split(b"\0")
    return False


def _in_session(pid: int, session: dict[str, Any] | None) -> bool:
    if not session or session["boot_id"] != boot_id():
        return False
    # A number is not given again while it names a session; a leader with another start means that it was.
    fields, leader_start = _stat(pid), start_ticks(session["pid"])
    is_stranger = leader_start is not None and leader_start != session["start_ticks"]
    return fields is not None and int(fields[3]) == session["pid"] and not is_stranger
