"""Linux calls that Python 3.11 has no words for. Standard library only."""

from __future__ import annotations

import ctypes
import os
import signal
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18

_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_EMPTY_PATH = 1, 4
#: The newer calls have the same number on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _CLONE3, _MOUNT_SETATTR = 428, 429, 435, 442
#: What clone3 is told: flags and a signal among numbers that are 0 here.
_CLONE_ARGUMENTS = struct.Struct("=QQQQQQQQ")

_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
#: Root's number gives no capabilities back at an exec, and none of this can be undone.
_NO_ROOT_LOCKED = 0b101111
_CAPABILITY_VERSION_3 = 0x20080522
_EINVAL = 22

_libc = ctypes.CDLL(None, use_errno=True)
#: Calls without letting go of Python's lock, as a fork needs it.
_locked_libc = ctypes.PyDLL(None, use_errno=True)


class KernelRefused(OSError):
    """A call failed; the text names it."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def checked(result: int, call: str) -> int:
    """The result of a call, or its error."""
    if result < 0:
        number = ctypes.get_errno()
        raise KernelRefused(number, os.strerror(number), call)
    return result


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` name for fresh ones."""
    checked(_libc.unshare(flags), "unshare")


def join(namespace: int, kind: int) -> None:
    """Enter a namespace that a descriptor stands for."""
    checked(_libc.setns(namespace, kind), "setns")


def fork(flags: int) -> int:
    """os.fork() into new namespaces, which fork(2) and so Python's own have no words for."""
    if not flags:
        return os.fork()
    arguments = _CLONE_ARGUMENTS.pack(flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    ctypes.pythonapi.PyOS_BeforeFork()
    pid: int = _locked_libc.syscall(_CLONE3, arguments, ctypes.c_size_t(len(arguments)))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    number = ctypes.get_errno()
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise KernelRefused(number, os.strerror(number), "clone3")
    return pid


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(data))
    checked(result, f"mount {target}")


def restrict_mounts(path: str, flags: int) -> None:
    """Add flags to a mount and to all below it; mount(2) would do so for one only."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    arguments = (_AT_FDCWD, _bytes(path), _AT_RECURSIVE, ctypes.byref(attributes), ctypes.c_size_t(32))
    checked(_libc.syscall(_MOUNT_SETATTR, *arguments), f"mount_setattr {path}")


def copy_mounts(path: str, flags: int) -> int:
    """A descriptor of what is at ``path``, as ``place_mounts`` can put it elsewhere, with flags added."""
    tree = syscall(_OPEN_TREE, _AT_FDCWD, _bytes(path), _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC, call=path)
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    options = _AT_EMPTY_PATH | _AT_RECURSIVE
    syscall(_MOUNT_SETATTR, tree, b"", options, ctypes.byref(attributes), ctypes.c_size_t(32), call=path)
    return tree


def place_mounts(tree: int, path: str) -> None:
    """Mount what ``copy_mounts`` returned, and close it."""
    syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, _bytes(path), _MOVE_EMPTY_PATH, call=f"move_mount {path}")
    os.close(tree)


def unmount(path: str) -> None:
    """Take a mount and all below it out of this namespace."""
    checked(_libc.umount2(_bytes(path), _MNT_DETACH), f"umount {path}")


def change_root(path: str) -> None:
    """Make a mount the root and let go of the old one, which nothing leads to any more."""
    os.chdir(path)
    checked(_libc.pivot_root(b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def forbid_new_privileges() -> None:
    """No exec gives rights any more, whatever set-user-id bits or capabilities the file has."""
    checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def drop_bounding_set() -> None:
    """What is not in this set cannot be had again; needs CAP_SETPCAP."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            if ctypes.get_errno() == _EINVAL:
                return
            checked(-1, "capability bounding set")


def drop_capabilities() -> None:
    """Of this process and, with ``forbid_new_privileges``, of all that it executes."""
    # An ordinary user has no right to the first two, and nothing that they could take.
    if _libc.prctl(_PR_SET_SECUREBITS, _NO_ROOT_LOCKED, 0, 0, 0) == 0:
        drop_bounding_set()
    elif os.geteuid() == 0:
        checked(-1, "securebits")
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    checked(_libc.capset(header, none), "capset")


def syscall(number: int, *arguments: object, call: str) -> int:
    """A call that the C library has no name for."""
    return checked(_libc.syscall(number, *arguments), call)
