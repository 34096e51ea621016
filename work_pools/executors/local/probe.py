"""Finds out what this machine can keep scripts from, by running one that tries."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

from platform_api.domain.jobs import JobType
from work_pools.executors.local import cgroups, metadata_guard
from work_pools.executors.local import isolation as levels
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.protocol import AttemptOrder, AttemptRef

#: Runs an order under an isolation: what it said and, if it did not end well, why.
Attempt = Callable[[Isolation, AttemptOrder], Awaitable[tuple[bytes, str | None]]]

_SECONDS = 20.0
_METADATA = metadata_guard.ADDRESSES[0]

_SCRIPT = """
import errno, json, os, socket, sys
wanted = json.loads(sys.argv[1])
facts = dict(line.split(":\\t", 1) for line in open("/proc/self/status")) if os.path.exists("/proc/self/status") else {}
def reached(port):
    with socket.socket() as client:
        client.setblocking(False)
        return client.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS, errno.ECONNREFUSED)
def readable(path):
    try:
        return bool(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
    except OSError:
        return False
print(json.dumps({
    "uid": os.getuid(),
    "capabilities": int(facts.get("CapEff", "0"), 16) | int(facts.get("CapBnd", "0"), 16),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")) if readable("/proc") else 0,
    "files": [path for path in wanted["files"] if readable(path)],
    "ports": [port for port in wanted["ports"] if reached(port)],
}))
"""


async def settle(wanted: Isolation, bait: str, attempt: Attempt) -> tuple[Isolation, list[str]]:
    """The best isolation that works here, and what it does not keep a script from; ``bait`` is a hidden file."""
    faults: list[str] = []
    folder, fault = cgroups.settle()
    warnings = [f"a job's cpu limit is not enforced by the local executor ({fault})"] if fault else []
    for candidate in _candidates(wanted._replace(cpu_groups=folder)):
        output, error = await attempt(candidate, _order(candidate, bait))
        if error is None:
            facts = json.loads(output)
            fault = _fault(candidate, facts)
            if fault is None:
                found = [*_warnings(candidate, wanted, facts, faults), *_network_warnings(candidate, facts)]
                return candidate, found + warnings
            error = fault
        faults.append(error)
    raise RuntimeError(f"Scripts cannot be isolated as the settings demand: {'; '.join(faults)}")


def _candidates(wanted: Isolation) -> Iterator[Isolation]:
    for level in wanted.levels:
        alone = wanted._replace(levels=(level,))
        yield alone
        if level == levels.NAMESPACES and wanted.first_uid:
            yield alone._replace(first_uid=0)


def _order(isolation: Isolation, bait: str) -> AttemptOrder:
    question = {"files": [bait, f"/proc/{os.getpid()}/environ"], "ports": isolation.guarded_ports}
    return AttemptOrder(
        AttemptRef(uuid4(), 1), uuid4(), JobType.PYTHON, _SCRIPT, (json.dumps(question),), {}, _SECONDS, 0.0
    )


def _fault(isolation: Isolation, facts: dict[str, Any]) -> str | None:
    """Why this isolation is none, if so."""
    if isolation.level == levels.NONE:
        return None
    if facts["files"]:
        return f"a script could read {facts['files'][0]}"
    if facts["capabilities"] and isolation.level == levels.NAMESPACES:
        return "a script had capabilities"
    if isolation.level == levels.NAMESPACES and not 0 < facts["processes"] <= 2:
        return "a script saw processes that are not its own"
    return None


def _warnings(taken: Isolation, wanted: Isolation, facts: dict[str, Any], faults: list[str]) -> Iterator[str]:
    because = f" ({faults[-1]})" if faults else ""
    if taken.level == levels.NONE:
        yield f"scripts are not isolated: they can read the platform's files and other scripts' memory{because}"
    elif taken.level == levels.LANDLOCK:
        yield (
            "scripts have no namespaces of their own: processes of others are visible by number; a fork bomb is not"
            " contained; shared memory may be left; only its password guards the database's socket" + because
        )
    elif taken.first_uid != wanted.first_uid:
        yield f"scripts have no user of their own{because}"


def _network_warnings(taken: Isolation, facts: dict[str, Any]) -> Iterator[str]:
    if facts["ports"]:
        yield "scripts can reach PostgreSQL and Prefect on this machine; only passwords guard them"
    if not taken.network and taken.level != levels.NAMESPACES:
        yield f"scripts have the network, {_METADATA} included, although JOB_PLATFORM_SCRIPT_NETWORK=false"
    elif taken.network and (fault := _guard_metadata(taken)):
        yield (
            f"the cloud's metadata address {_METADATA} is not blocked by local isolation"
            f" unless JOB_PLATFORM_SCRIPT_NETWORK=false ({fault})"
        )


def _guard_metadata(taken: Isolation) -> str | None:
    """Why scripts could reach the address, if they could."""
    if not taken.first_uid or taken.level != levels.NAMESPACES:
        return "scripts have no users of their own"
    return metadata_guard.guard(metadata_guard.users_from(taken.first_uid))
