"""Who is at the other end of a loopback connection: a person's browser, or a script that the platform itself runs.

Scripts share this machine's network, and with it the loopback provider, where anybody can be anybody. The kernel tells
whose socket a connection is. Under root every script has a user number from a range; else it lives in a user
namespace of its own. What cannot be told is taken for a script.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")

#: What ``/proc/net/tcp`` calls a connection that is open.
_ESTABLISHED = "01"


@dataclass(frozen=True, slots=True)
class Connection:
    """Two ports on loopback: the peer's own, and ours that it connected to."""

    peer_port: int
    own_port: int


#: Whether the peer may be one of the platform's scripts.
MayBeScript = Callable[[Connection], bool]


def scripts_from(first_uid: int) -> MayBeScript:
    """The check, for scripts whose user numbers begin at ``first_uid`` (each adds its process id to it)."""
    users = range(first_uid, first_uid + int((_PROC / "sys/kernel/pid_max").read_text()))

    def may_be_script(connection: Connection) -> bool:
        socket = _socket_of(connection)
        if socket is None or socket.uid in users:
            return True
        # Another user's process is none of ours; one of this user's is only if it lives among us.
        return socket.uid == os.geteuid() and not _is_among_us(socket.inode)

    return may_be_script


@dataclass(frozen=True, slots=True)
class _Socket:
    uid: int
    inode: int


def _socket_of(connection: Connection) -> _Socket | None:
    """The peer's socket as the kernel lists it."""
    wanted = (connection.peer_port, connection.own_port)
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                ports = tuple(int(address.rpartition(":")[2], 16) for address in fields[1:3])
                if ports == wanted and fields[3] == _ESTABLISHED:
                    return _Socket(int(fields[7]), int(fields[9]))
    return None


def _is_among_us(inode: int) -> bool:
    """Whether every process that holds the socket is in our user namespace, and there is one."""
    ours = os.readlink(_PROC / "self/ns/user")
    found = [_user_namespace(process) == ours for process in _holders(inode)]
    return bool(found) and all(found)


def _holders(inode: int) -> Iterator[Path]:
    link = f"socket:[{inode}]"
    for process in _PROC.glob("[0-9]*"):
        # A process may end, or belong to somebody else, while we look.
        with suppress(OSError):
            if any(_target(descriptor) == link for descriptor in (process / "fd").iterdir()):
                yield process


def _target(descriptor: Path) -> str | None:
    try:
        return os.readlink(descriptor)
    except OSError:
        return None


def _user_namespace(process: Path) -> str | None:
    return _target(process / "ns/user")
