"""The file tree that all scripts of a launcher have in common, made once: the system read-only, devices, nothing else.

Standard library only. The launcher moves into it and its shims live in it, with the run directories and the
machine's /proc beside what scripts see; ``new_root`` takes those two away from each script.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from work_pools.executors.local import kernel
from work_pools.executors.local.isolation import Isolation

#: Where the tree is mounted before it becomes the root: a folder beside those of the executions.
_PLACE = ".root"
#: The folders of single files that scripts see: such files are replaced now and then, and bound for each script anew.
OUTSIDE = "/.outside"
TEMPORARY = "/tmp"  # noqa: S108 - a folder of the script's own, whatever the name says
OWN = kernel.MS_NOSUID | kernel.MS_NODEV
_DEVICES = ("null", "zero", "full", "random", "urandom")
_STREAMS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


class Plan(NamedTuple):
    """Paths without their first slash, in the order in which they are to be made."""

    folders: list[str]
    files: list[str]
    links: dict[str, str]
    binds: dict[str, str]
    covers: list[str]


@cache
def replaceable(isolation: Isolation) -> dict[str, str]:
    """Where single files are to be mounted for each script, and from where in the tree."""
    files = [path for path in isolation.readable if os.path.isfile(path) and not os.path.islink(path)]
    return {path: f"{OUTSIDE}/{number}/{os.path.basename(path)}" for number, path in enumerate(files)}


def plan(isolation: Isolation) -> Plan:
    """The tree as this machine has it now."""
    links, shown = {f"dev/{name}": target for name, target in _STREAMS.items()}, {}
    for path in filter(os.path.lexists, isolation.readable):
        if os.path.islink(path):
            links[path[1:]] = os.readlink(path)
        else:
            shown[path[1:]] = path
    devices = {f"dev/{name}": f"/dev/{name}" for name in _DEVICES}
    files = [place for place, path in (shown | devices).items() if not os.path.isdir(path)]
    own = ["dev/shm", "proc", TEMPORARY[1:]]
    folders = _with_parents([*(shown.keys() - set(files)), *map(os.path.dirname, [*files, *links]), *own])
    shown = {place: path for place, path in shown.items() if path not in replaceable(isolation)}
    for path, inside in replaceable(isolation).items():
        shown[os.path.dirname(inside)[1:]] = os.path.dirname(path)
    folders = _with_parents([*folders, *(os.path.dirname(inside)[1:] for inside in replaceable(isolation).values())])
    hidden = [path for path in isolation.hidden if os.path.exists(path) and is_inside(path, shown.values())]
    shown |= {path[1:]: "/dev/null" for path in hidden if not os.path.isdir(path)}
    covers = [path[1:] for path in hidden if os.path.isdir(path)]
    made = [folder for folder in folders if not is_inside(f"/{folder}", shown.values(), itself=False)]
    return Plan(made, files, links, shown, covers)


def enter(isolation: Isolation) -> None:
    """Leave the machine's tree for good; run directories stay where they were. Raises ``OSError``."""
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    root = f"{isolation.runs_folder}/{_PLACE}"
    os.makedirs(root, mode=0o700, exist_ok=True)
    runs = kernel.copy_mounts(isolation.runs_folder, OWN)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID, "mode=755,size=4m")
    os.chdir(root)
    _make(plan(isolation))
    writable = [path for path in isolation.writable if os.path.exists(path)]
    for path in (isolation.runs_folder, *writable):
        make_place(path, path[1:])
    kernel.restrict_mounts(".", kernel.MS_RDONLY | kernel.MS_NOSUID)
    _open(writable)
    kernel.place_mounts(runs, isolation.runs_folder[1:])
    kernel.change_root(".")


def _make(tree: Plan) -> None:
    for folder in tree.folders:
        os.mkdir(folder)
    for file in tree.files:
        os.mknod(file)
    for place, target in tree.links.items():
        os.symlink(target, place)
    for place, source in tree.binds.items():
        kernel.mount(source, place, None, kernel.MS_BIND | kernel.MS_REC)
    for place in tree.covers:
        kernel.mount("tmpfs", place, "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")


def _open(writable: list[str]) -> None:
    """Mount what is not read-only; the machine's /proc is for shims, which know processes by its numbers."""
    for path in writable:
        kernel.place_mounts(kernel.copy_mounts(path, OWN), path[1:])
    for name in _DEVICES:
        kernel.mount(f"/dev/{name}", f"dev/{name}", None, kernel.MS_BIND)
    kernel.mount("/proc", "proc", None, kernel.MS_BIND | kernel.MS_REC)


def make_place(path: str, place: str) -> None:
    """Something to mount what is at ``path`` on."""
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    os.close(os.open(place, os.O_CREAT | os.O_CLOEXEC))


def is_inside(path: str, folders: Iterable[str], *, itself: bool = True) -> bool:
    """Whether ``path`` is below one of the folders."""
    return any(path.startswith(f"{folder}/") or (itself and path == folder) for folder in folders)


def _with_parents(folders: list[str]) -> list[str]:
    """Each once, after its parent."""
    found = {folder[: end if end > 0 else None] for folder in folders for end in _ends(folder)}
    return sorted(found - {""})


def _ends(folder: str) -> list[int]:
    return [place for place, character in enumerate(folder) if character == "/"] + [-1]
