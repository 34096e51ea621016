"""How far scripts are kept from this machine: what an operator asks for, and what the machine can do.

Standard library only: a worker sends it to its launcher as JSON.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

#: A root of its own with what a script may see, process and IPC namespaces of its own; nothing survives their end.
NAMESPACES = "namespaces"
#: The kernel refuses files, signals and ports; processes are visible by number.
LANDLOCK = "landlock"
#: The user's own rights and limits alone.
NONE = "none"

#: Of an ordinary installation; those of them that a machine has.
SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store")


class Isolation(NamedTuple):
    """One for all scripts of a worker."""

    #: From best to worst: the first that the machine can do is taken.
    levels: tuple[str, ...] = (NAMESPACES, LANDLOCK, NONE)
    #: Scripts get a user of their own: this number and their shim's process id together. 0: the worker's user.
    first_uid: int = 0
    #: Files and folders that no script may see, though they may be inside what it sees.
    hidden: tuple[str, ...] = ()
    readable: tuple[str, ...] = SYSTEM_FOLDERS
    writable: tuple[str, ...] = ()
    #: False: loopback of its own and nothing else.
    network: bool = True
    #: TCP ports of the platform's own services on this machine.
    guarded_ports: tuple[int, ...] = ()
    processes: int = 512
    disk_bytes: int = 10 << 30
    #: How far scripts stand behind the platform's own processes where both want the same core, as nice(1) counts.
    niceness: int = 0
    #: Where groups for scripts' cores can be made; the probe finds it.
    cpu_groups: str = ""
    #: Where the run directories are; the executor sets it.
    runs_folder: str = ""

    @property
    def level(self) -> str:
        """The one to use."""
        return self.levels[0]

    @property
    def has_users(self) -> bool:
        """Whether the kernel counts a script's processes apart from those of the worker's user."""
        return self.first_uid > 0 or self.level == NAMESPACES

    @property
    def is_off(self) -> bool:
        """Whether an operator wants none, which is not the same as a machine that can do none."""
        return self._replace(network=True, niceness=0, cpu_groups="", runs_folder="") == Isolation.off()

    @classmethod
    def off(cls) -> Isolation:
        """Scripts may do what the worker may."""
        return cls(levels=(NONE,))

    def encode(self) -> str:
        """As it goes to the launcher."""
        return json.dumps(self)

    @classmethod
    def decode(cls, document: str) -> Isolation:
        """Read what ``encode`` wrote."""
        values: Any = [tuple(value) if isinstance(value, list) else value for value in json.loads(document)]
        return cls(*values)
