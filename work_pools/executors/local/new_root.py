"""A file tree for one script: the system read-only, its own folders, and nothing else of this machine.

Standard library only. Everything is a mount in a namespace of the script's own, gone with its last process.
"""

from __future__ import annotations

import os
from contextlib import suppress

from work_pools.executors.local import kernel
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.run_directory import RunDirectory

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_STREAMS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_SHARED_MEMORY = "size=64m,mode=1777"


def enter(isolation: Isolation, directory: RunDirectory) -> None:
    """Leave the machine's tree for the script's own; paths of the run directory stay what they were."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
    kernel.unshare(flags if isolation.network else flags | kernel.CLONE_NEWNET)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    root = directory.root
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID, "mode=755,size=4m")
    for path in isolation.readable:
        _show(root, path)
    for path in isolation.hidden:
        _hide(root, path)
    _prepare(root, isolation, directory)
    kernel.restrict_mounts(root, kernel.MS_RDONLY | kernel.MS_NOSUID)
    _open_own(root, isolation, directory)
    kernel.change_root(root)
    os.chdir(directory.work)


def _show(root: str, path: str) -> None:
    """Bind a file or a folder with all that is mounted in it; a link stays a link."""
    if os.path.islink(path):
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with suppress(FileExistsError):
            os.symlink(os.readlink(path), root + path)
    elif os.path.exists(path):
        _make_place(path, root + path)
        kernel.mount(path, root + path, None, kernel.MS_BIND | kernel.MS_REC)


def _hide(root: str, path: str) -> None:
    """Only what is inside something shown needs a cover."""
    if os.path.isdir(root + path):
        kernel.mount("tmpfs", root + path, "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")
    elif os.path.exists(root + path):
        kernel.mount("/dev/null", root + path, None, kernel.MS_BIND)


def _prepare(root: str, isolation: Isolation, directory: RunDirectory) -> None:
    """Places for what is mounted once the tree itself cannot be changed any more."""
    os.mkdir(f"{root}/proc")
    os.makedirs(f"{root}/dev/shm")
    for source, place in _own_folders(isolation, directory).items():
        _make_place(source, root + place)
    for name, target in _STREAMS.items():
        os.symlink(target, f"{root}/dev/{name}")
    for name in _DEVICES:
        os.close(os.open(f"{root}/dev/{name}", os.O_CREAT | os.O_CLOEXEC))


def _own_folders(isolation: Isolation, directory: RunDirectory) -> dict[str, str]:
    """What a script may write to, and its own code, each with its place; a place may be inside an earlier one."""
    shared = {path: path for path in isolation.writable if os.path.exists(path)}
    own = {path: path for path in (directory.work, directory.at("code"))}
    return {directory.temporary: "/tmp"} | shared | own  # noqa: S108


def _open_own(root: str, isolation: Isolation, directory: RunDirectory) -> None:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    for source, place in _own_folders(isolation, directory).items():
        _make_place(source, root + place)
        kernel.mount(source, root + place, None, kernel.MS_BIND | kernel.MS_REC)
        kernel.restrict_mounts(root + place, flags)
    kernel.restrict_mounts(root + directory.at("code"), flags | kernel.MS_RDONLY)
    for name in _DEVICES:
        kernel.mount(f"/dev/{name}", f"{root}/dev/{name}", None, kernel.MS_BIND)
    kernel.mount("tmpfs", f"{root}/dev/shm", "tmpfs", flags, _SHARED_MEMORY)
    kernel.mount("proc", f"{root}/proc", "proc", flags | kernel.MS_NOEXEC)


def _make_place(path: str, place: str) -> None:
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with suppress(FileExistsError, OSError):
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
