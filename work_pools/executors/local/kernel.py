"""Linux calls that Python 3.11 has no words for. Standard library only."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18

_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
#: The newer calls have the same number on every architecture.
_MOUNT_SETATTR = 442

_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
#: Root's number gives no capabilities back at an exec, and none of this can be undone.
_NO_ROOT_LOCKED = 0b101111
_CAPABILITY_VERSION_3 = 0x20080522
_EINVAL = 22

_libc = ctypes.CDLL(None, use_errno=True)


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


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(data))
    checked(result, f"mount {target}")


def restrict_mounts(path: str, flags: int) -> None:
    """Add flags to a mount and to all below it; mount(2) would do so for one only."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    arguments = (_AT_FDCWD, _bytes(path), _AT_RECURSIVE, ctypes.byref(attributes), ctypes.c_size_t(32))
    checked(_libc.syscall(_MOUNT_SETATTR, *arguments), f"mount_setattr {path}")


def change_root(path: str) -> None:
    """Make a mount the root and let go of the old one, which nothing leads to any more."""
    os.chdir(path)
    checked(_libc.pivot_root(b".", b"."), "pivot_root")
    checked(_libc.umount2(b".", _MNT_DETACH), "umount")
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
    """Of this process and of all that it executes."""
    checked(_libc.prctl(_PR_SET_SECUREBITS, _NO_ROOT_LOCKED, 0, 0, 0), "securebits")
    drop_bounding_set()
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    checked(_libc.capset(header, none), "capset")


def syscall(number: int, *arguments: object, call: str) -> int:
    """A call that the C library has no name for."""
    return checked(_libc.syscall(number, *arguments), call)
