"""A file tree for one script: the one that all share without what is not the script's, and with its own folders.

Standard library only. Mounts in a namespace of the script's own, gone with its last process. Between a fork and its
exec each step counts, so what is the same for every script is ``shared_root``'s.
"""

from __future__ import annotations

import os

from work_pools.executors.local import kernel
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.run_directory import RunDirectory
from work_pools.executors.local.shared_root import OWN, TEMPORARY, is_inside, make_place, replaceable

_SHARED_MEMORY = "size=64m,mode=1777"


def enter(isolation: Isolation, directory: RunDirectory) -> None:
    """Leave the shared tree for the script's own; paths of the run directory stay what they were."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
    kernel.unshare(flags if isolation.network else flags | kernel.CLONE_NEWNET)
    own = _copy_own(isolation, directory)
    _replace_proc()
    _leave_outside(isolation)
    kernel.unmount(isolation.runs_folder)
    for place, tree in own.items():
        if is_inside(place, [TEMPORARY]) and place != TEMPORARY:
            make_place(f"/proc/self/fd/{tree}", place)
        if place == directory.work:
            _make_places(isolation, directory)
        kernel.place_mounts(tree, place)
    os.chdir(directory.work)


def _copy_own(isolation: Isolation, directory: RunDirectory) -> dict[str, int]:
    """By their places, in the order in which they are mounted: a place may be inside an earlier one."""
    covered = [path for path in isolation.writable if os.path.exists(path) and is_inside(path, [TEMPORARY])]
    sources = {TEMPORARY: directory.temporary} | {path: path for path in covered} | {directory.work: directory.work}
    own = {place: kernel.copy_mounts(source, OWN) for place, source in sources.items()}
    return own | {directory.at("code"): kernel.copy_mounts(directory.at("code"), OWN | kernel.MS_RDONLY)}


def _replace_proc() -> None:
    """An ordinary user may mount a /proc only while another is there to be seen."""
    kernel.mount("proc", "/dev/shm", "proc", OWN | kernel.MS_NOEXEC)  # noqa: S108 - a free place to begin with
    kernel.unmount("/proc")
    kernel.mount("/dev/shm", "/proc", None, kernel.MS_MOVE)  # noqa: S108
    kernel.mount("tmpfs", "/dev/shm", "tmpfs", OWN, _SHARED_MEMORY)  # noqa: S108


def _leave_outside(isolation: Isolation) -> None:
    """Take single files from their folders as they are now, and let go of these."""
    files = replaceable(isolation)
    for place, source in files.items():
        if os.path.exists(source):
            kernel.place_mounts(kernel.copy_mounts(source, OWN | kernel.MS_RDONLY), place)
    for folder in {os.path.dirname(source) for source in files.values()}:
        kernel.unmount(folder)


def _make_places(isolation: Isolation, directory: RunDirectory) -> None:
    """For the folders of the run, where all run directories were."""
    os.makedirs(isolation.runs_folder, exist_ok=True)
    kernel.mount("tmpfs", isolation.runs_folder, "tmpfs", kernel.MS_NOSUID, "mode=755,size=64k")
    os.makedirs(directory.work)
    os.mkdir(directory.at("code"))
    kernel.restrict_mounts(isolation.runs_folder, kernel.MS_RDONLY | kernel.MS_NOSUID)
