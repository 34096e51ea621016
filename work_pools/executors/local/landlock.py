"""Landlock: the kernel's rules that a process without any right can put on itself. Standard library only."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from work_pools.executors.local import kernel

# The same on every architecture.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PATH_BENEATH, _NET_PORT = 1, 2
_CONNECT_TCP = 1 << 1
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
#: Rights on files that each version of the kernel's interface knows, oldest first.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE, _IOCTL = 1 << 1, 1 << 14, 1 << 15
READ = _EXECUTE | _READ_FILE | _READ_FOLDER
_OF_A_FILE = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL


def version() -> int:
    """Of the kernel's interface; 0 where there is none."""
    try:
        return kernel.syscall(_CREATE, None, ctypes.c_size_t(0), 1, call="landlock")
    except OSError:
        return 0


def guards_ports() -> bool:
    """Whether ``guard_ports`` does anything on this machine."""
    return version() >= _NETWORK_SINCE


def guard_ports(ports: Iterable[int]) -> None:
    """Refuse TCP connections to these ports from here on, to this process and all that come of it.

    The kernel takes only what is allowed, so that all the others are. That is slow, and done once for all scripts.
    """
    rules = _create(0, _CONNECT_TCP, _SCOPE_ABSTRACT_SOCKETS if version() >= _SCOPES_SINCE else 0)
    for port in set(range(65536)) - set(ports):
        _add(rules, _NET_PORT, struct.pack("=QQ", _CONNECT_TCP, port))
    _restrict(rules)


def confine_files(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Refuse all files but these, and signals to processes that are not this one's descendants."""
    handled = max(rights for since, rights in _FILE_RIGHTS.items() if since <= max(version(), 1))
    rules = _create(handled, 0, _SCOPE_SIGNALS if version() >= _SCOPES_SINCE else 0)
    for paths, rights in ((readable, READ), (writable, handled)):
        for path in filter(os.path.exists, paths):
            _allow(rules, path, rights & handled)
    _restrict(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _add(rules, _PATH_BENEATH, struct.pack("=Qi", rights if os.path.isdir(path) else rights & _OF_A_FILE, place))
    finally:
        os.close(place)


def _create(files: int, network: int, scopes: int) -> int:
    attributes = struct.pack("=QQQ", files, network, scopes)
    # An older kernel takes a shorter description.
    attributes = attributes if scopes else attributes[: 16 if network else 8]
    return kernel.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0, call="landlock")


def _add(rules: int, kind: int, rule: bytes) -> None:
    kernel.syscall(_ADD, rules, kind, rule, 0, call="landlock rule")


def _restrict(rules: int) -> None:
    kernel.forbid_new_privileges()
    kernel.syscall(_RESTRICT, rules, 0, call="landlock")
    os.close(rules)
