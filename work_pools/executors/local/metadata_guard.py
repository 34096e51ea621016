"""Keeps scripts from the addresses where clouds hand out the machine's credentials to whoever asks.

A rule of the kernel's routing, for the numbers of scripts' users alone: what such a user's sockets send there is
refused before there is a packet. It needs root, whose scripts have numbers of their own. Nothing here, and nothing
that tests it, sends anything anywhere: whether the rule works is asked by looking a route up, as such a user.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

#: Of machines, of containers in ECS, and of pods in EKS. Not all of 169.254.0.0/16: clusters have name servers there.
ADDRESSES = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23")

_GET_ROUTE, _NEW_RULE = 26, 32
_ERROR = 2
_REQUEST, _ACKNOWLEDGE, _EXCLUSIVE, _CREATE = 1, 4, 0x200, 0x400
_RULE_DESTINATION, _RULE_PRIORITY, _RULE_USERS, _RULE_PROTOCOL = 1, 6, 20, 22
_ROUTE_DESTINATION, _ROUTE_USER, _ROUTE_PROTOCOL = 1, 25, 27
_PROHIBIT = 8
#: Before every rule but the first, which is for the machine's own addresses.
_PRIORITY = 10
_HEADER = struct.Struct("=IHHII")
#: Family, lengths of destination and source, service, table, two spare bytes, action and flags: of rules as of routes.
_SUBJECT = struct.Struct("=BBBBBBBBI")


class Users(NamedTuple):
    """Numbers of scripts' users, the last included."""

    first: int
    last: int


def users_from(first_uid: int) -> Users:
    """All that ``first_uid`` and a process id can make together."""
    with open("/proc/sys/kernel/pid_max") as file:
        return Users(first_uid, first_uid + int(file.read()))


def guard(users: Users, resolv_conf: str = "/etc/resolv.conf") -> str | None:
    """Make the rules, and look whether they work; why not, if so. Rules that are there stay.

    They are never taken away: scripts outlive their worker, and another worker's may have the same numbers.
    """
    servers = _name_servers(resolv_conf)
    faults = (fault for address in ADDRESSES if (fault := _guard(users, address, is_server=address in servers)))
    return next(faults, None)


def _name_servers(path: str) -> list[str]:
    """Where one of the addresses is the machine's name server as well (on Google's), scripts go on asking it names."""
    with suppress(OSError), open(path) as file:
        return [words[1] for line in file if len(words := line.split()) > 1 and words[0] == "nameserver"]
    return []


def _guard(users: Users, address: str, *, is_server: bool) -> str | None:
    family, packed = _packed(address)
    protocol = _attribute(_RULE_PROTOCOL, bytes([socket.IPPROTO_TCP])) if is_server else b""
    attributes = (
        _attribute(_RULE_DESTINATION, packed)
        + _attribute(_RULE_PRIORITY, struct.pack("=I", _PRIORITY))
        + _attribute(_RULE_USERS, struct.pack("=II", *users))
    )
    subject = _SUBJECT.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, _PROHIBIT, 0)
    error = _ask(_NEW_RULE, _REQUEST | _ACKNOWLEDGE | _CREATE | _EXCLUSIVE, subject + attributes + protocol)
    if error == errno.EAFNOSUPPORT and family == socket.AF_INET6:
        return None
    if error not in (0, errno.EEXIST):
        return f"the kernel takes no rule for users: {os.strerror(error)}"
    works = all(refuses(address, user) for user in users)
    return None if works else f"the kernel's rule for {address} has no effect"


def refuses(address: str, user: int, protocol: int = socket.IPPROTO_TCP) -> bool:
    """Whether the kernel would refuse a user's packets to an address; none is sent."""
    family, packed = _packed(address)
    subject = _SUBJECT.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    attributes = (
        _attribute(_ROUTE_DESTINATION, packed)
        + _attribute(_ROUTE_USER, struct.pack("=I", user))
        + _attribute(_ROUTE_PROTOCOL, bytes([protocol]))
    )
    return _ask(_GET_ROUTE, _REQUEST, subject + attributes) == errno.EACCES


def _packed(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _ask(kind: int, flags: int, body: bytes) -> int:
    """The number of the error that the kernel answers with, 0 for none."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, 0))
        kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body)
        answer = kernel.recv(65536)
    _, answered, *_ = _HEADER.unpack_from(answer)
    error: int = struct.unpack_from("=i", answer, _HEADER.size)[0]
    return -error if answered == _ERROR else 0
