"""How much of the machine's cores a script's processes may have together, by control groups of either version.

Standard library only. The worker looks for a group that is its own to divide and tries it (``settle``); its launcher
opens that (``open_folder``), and a shim makes a group for a script that computes (``Group``). Moving a process makes
every fork of the machine wait for a moment, so scripts that only wait or end soon are never moved.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from work_pools.executors.local import processes

#: Below the worker's own group, or below its parent; the scripts' own groups are below it.
_NAME = "job-platform-scripts"
_PERIOD_US = 100_000
#: The kernel takes no less.
_LEAST_US = 1000
_ROUNDS = 5
#: systemd's sign that a group is its service's to divide.
_DELEGATED = ("trusted.delegate", "user.delegate")


class Place(NamedTuple):
    """A group of the worker's own: where its hierarchy is mounted, and its path in that."""

    version: int
    mount: str
    path: str


def settle(root: str = "/") -> tuple[str, str | None]:
    """The folder for scripts' groups, or an empty one and the reason why there is none."""
    place = _own(root)
    if place is None:
        return "", "no control group for cpu"
    fault = "the worker's control group is not its own to divide"
    for path in dict.fromkeys((place.path, os.path.dirname(place.path) if place.version > 1 else place.path)):
        if _is_ours(place, path):
            try:
                return _attempt(place.version, _folder(place, path)), None
            except OSError as error:
                fault = f"its control group cannot be divided: {error.strerror}"
    return "", fault


def _own(root: str) -> Place | None:
    with suppress(FileNotFoundError), open(f"{root}proc/self/cgroup") as file:
        paths = {controllers: path for _, controllers, path in (line.strip().split(":", 2) for line in file)}
        mounts = list(_mounts(root))
        for version, kind, word in ((1, "cgroup", "cpu"), (2, "cgroup2", "")):
            found = next((path for names, path in paths.items() if word in names.split(",")), None)
            mount = next((where for where, its_kind, options in mounts if its_kind == kind and word in options), None)
            if found and mount:
                return Place(version, mount, found)
    return None


def _mounts(root: str) -> Iterator[tuple[str, str, list[str]]]:
    """Where, what kind, and with which options; every mount has an empty one."""
    with open(f"{root}proc/self/mountinfo") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            kind, _, options = after.split()[:3]
            yield before.split()[4], kind, ["", *options.split(",")]


def _folder(place: Place, path: str) -> str:
    return f"{place.mount}/{path.strip('/')}".rstrip("/")


def _is_ours(place: Place, path: str) -> bool:
    """A group that somebody else made for the worker is theirs to divide, unless they say otherwise."""
    folder = _folder(place, path)
    if path == "/" or 0 < os.stat(folder).st_uid == os.getuid():
        return True
    return any(_attribute(folder, name) == b"1" for name in _DELEGATED)


def _attribute(folder: str, name: str) -> bytes:
    with suppress(OSError):
        return os.getxattr(folder, name)
    return b""


def _attempt(version: int, parent: str) -> str:
    """Do once what shims do; raises ``OSError``."""
    folder = f"{parent}/{_NAME}"
    os.makedirs(folder, exist_ok=True)
    if version > 1:
        for path in (parent, folder):
            _write(f"{path}/cgroup.subtree_control", "+cpu")
    _sweep(folder)
    group = Group.make(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), os.getpid(), 1.0)
    try:
        with subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE) as process:
            group.move(process.pid)
            process.communicate()
    finally:
        group.remove()
    return folder


def _sweep(folder: str) -> None:
    """Remove groups whose shims were killed; those with processes stay."""
    for name in os.listdir(folder):
        if os.path.isdir(f"{folder}/{name}"):
            with suppress(OSError):
                os.rmdir(f"{folder}/{name}")


def _write(path: str, text: str, folder: int | None = None) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


_opened: list[int] = []


def open_folder(path: str) -> None:
    """Called once in the launcher, which loses sight of the folder but not of what it has open."""
    if path:
        _opened.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def opened() -> int | None:
    """The folder of all scripts' groups, where there is one."""
    return _opened[0] if _opened else None


class Group:
    """Of one script; it goes with it."""

    def __init__(self, folder: int, name: str) -> None:
        self._folder, self._name = folder, name
        self._has_all = False

    @classmethod
    def make(cls, folder: int, number: int, cores: float) -> Group:
        """For so many cores; raises ``OSError``."""
        group = cls(folder, f"run-{number}")
        with suppress(FileExistsError):
            os.mkdir(group._name, dir_fd=folder)
        quota = max(_LEAST_US, round(cores * _PERIOD_US))
        try:
            _write(f"{group._name}/cpu.max", f"{quota} {_PERIOD_US}", folder)
        except FileNotFoundError:
            _write(f"{group._name}/cpu.cfs_quota_us", str(quota), folder)
        return group

    def hold(self, pid: int) -> None:
        """Have all descendants of a process in it; what they fork from then on is in it by itself."""
        for _ in range(_ROUNDS):
            if self._has_all:
                return
            inside = self._inside()
            outside = [inner for inner in map(processes.inner_pid, processes.descendants(pid)) if inner not in inside]
            for inner in filter(None, outside):
                self.move(inner)
            self._has_all = not outside

    def _inside(self) -> set[int]:
        file = os.open(f"{self._name}/cgroup.procs", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        with open(file) as lines:
            return {int(line) for line in lines}

    def move(self, pid: int) -> None:
        """A process by its number where the caller is; one that is gone is no error."""
        with suppress(ProcessLookupError):
            _write(f"{self._name}/cgroup.procs", str(pid), self._folder)

    def remove(self) -> None:
        """Once its processes are gone; if some are left, the next worker removes it."""
        with suppress(OSError):
            os.rmdir(self._name, dir_fd=self._folder)
