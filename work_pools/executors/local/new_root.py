"""A file tree for one script: the system read-only, its own folders, and nothing else of this machine.

Standard library only. Everything is a mount in a namespace of the script's own, gone with its last process. What is
the same for every script is found out once, in the launcher: between a fork and its exec each step counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from work_pools.executors.local import kernel
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.run_directory import RunDirectory

_TEMPORARY = "/tmp"  # noqa: S108 - a folder of the script's own, whatever the name says
_DEVICES = ("null", "zero", "full", "random", "urandom")
_STREAMS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_SHARED_MEMORY = "size=64m,mode=1777"
_OWN = kernel.MS_NOSUID | kernel.MS_NODEV


class Plan(NamedTuple):
    """Paths without their first slash, in the order in which they are to be made."""

    folders: list[str]
    files: list[str]
    links: dict[str, str]
    binds: dict[str, str]
    covers: list[str]


@cache
def plan(isolation: Isolation) -> Plan:
    """The tree that all scripts have in common."""
    links, shown = {f"dev/{name}": target for name, target in _STREAMS.items()}, {}
    for path in filter(os.path.lexists, isolation.readable):
        if os.path.islink(path):
            links[path[1:]] = os.readlink(path)
        else:
            shown[path[1:]] = path
    devices = {f"dev/{name}": f"/dev/{name}" for name in _DEVICES}
    files = [place for place, path in (shown | devices).items() if not os.path.isdir(path)]
    folders = _with_parents([*(shown.keys() - set(files)), *map(os.path.dirname, [*files, *links]), "dev/shm", "proc"])
    hidden = [path for path in isolation.hidden if os.path.exists(path) and _is_inside(path, shown.values())]
    shown |= {path[1:]: "/dev/null" for path in hidden if not os.path.isdir(path)}
    covers = [path[1:] for path in hidden if os.path.isdir(path)]
    made = [folder for folder in folders if not _is_inside(f"/{folder}", shown.values(), itself=False)]
    return Plan(made, files, links, shown, covers)


def enter(isolation: Isolation, directory: RunDirectory) -> None:
    """Leave the machine's tree for the script's own; paths of the run directory stay what they were."""
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
    kernel.unshare(flags if isolation.network else flags | kernel.CLONE_NEWNET)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", directory.root, "tmpfs", kernel.MS_NOSUID, "mode=755,size=4m")
    os.chdir(directory.root)
    _make(plan(isolation))
    own = _own_folders(isolation, directory)
    for place, source in own.items():
        _make_place(source, place[1:])
    kernel.restrict_mounts(".", kernel.MS_RDONLY | kernel.MS_NOSUID)
    _open(own, directory)
    kernel.change_root(".")
    os.chdir(directory.work)


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


def _own_folders(isolation: Isolation, directory: RunDirectory) -> dict[str, str]:
    """What a script may write to, and its own code, by their places; a place may be inside an earlier one."""
    shared = {path: path for path in isolation.writable if os.path.exists(path)}
    code = directory.at("code")
    return {_TEMPORARY: directory.temporary} | shared | {directory.work: directory.work, code: code}


def _open(own: dict[str, str], directory: RunDirectory) -> None:
    """Mount what is not read-only, and what has no writable place in a read-only tree."""
    for place, source in own.items():
        if place.startswith(f"{_TEMPORARY}/"):
            _make_place(source, place[1:])
        kernel.mount(source, place[1:], None, kernel.MS_BIND | kernel.MS_REC)
        kernel.restrict_mounts(place[1:], _OWN)
    kernel.restrict_mounts(directory.at("code")[1:], _OWN | kernel.MS_RDONLY)
    for name in _DEVICES:
        kernel.mount(f"/dev/{name}", f"dev/{name}", None, kernel.MS_BIND)
    kernel.mount("tmpfs", "dev/shm", "tmpfs", _OWN, _SHARED_MEMORY)
    kernel.mount("proc", "proc", "proc", _OWN | kernel.MS_NOEXEC)


def _make_place(path: str, place: str) -> None:
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    os.close(os.open(place, os.O_CREAT | os.O_CLOEXEC))


def _with_parents(folders: list[str]) -> list[str]:
    """Each once, after its parent."""
    found = {folder[: end if end > 0 else None] for folder in folders for end in _ends(folder)}
    return sorted(found - {""})


def _ends(folder: str) -> list[int]:
    return [place for place, character in enumerate(folder) if character == "/"] + [-1]


def _is_inside(path: str, folders: Iterable[str], *, itself: bool = True) -> bool:
    return any(path.startswith(f"{folder}/") or (itself and path == folder) for folder in folders)
