"""Becomes the script: fork, a session of its own, exec. Standard library only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from work_pools.executors.local import processes, sandbox
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import Order
from work_pools.executors.local.run_directory import RunDirectory


class NotStarted(Exception):
    """The script does not run; the text says why."""


class Script(NamedTuple):
    """A script that runs: the leader of its session and process group, and where it writes."""

    pid: int
    started_us: int
    stdout: int
    stderr: int


def spawn(order: Order, directory: RunDirectory, isolation: Isolation) -> Script:
    """Start the order's command; raises ``NotStarted``."""
    try:
        (stdout, child_stdout), (stderr, child_stderr), (report, child_report) = os.pipe(), os.pipe(), os.pipe()
        uid = sandbox.own_user(isolation, os.getpid())
        pid = os.fork()
    except OSError as error:
        raise NotStarted(f"No process could be made for the script: {error.strerror}") from error
    if pid == 0:
        confine = partial(sandbox.confine, isolation, order, directory, uid)
        _become(order, (child_stdout, child_stderr), confine, child_report)
    for descriptor in (child_stdout, child_stderr, child_report):
        os.close(descriptor)
    script = Script(pid, _read_report(report, pid), stdout, stderr)
    # Not by the child: what it touches before its exec, it copies.
    session = processes.identity(pid) | {"started_us": script.started_us, "uid": uid}
    directory.overwrite("session", json.dumps(session).encode())
    return script


def _read_report(report: int, pid: int) -> int:
    """The moment of the exec. The exec closes the child's end, so a moment with nothing behind it means success."""
    with open(report, "rb") as file:
        moment, _, error = file.read().decode(errors="replace").partition("\n")
    if moment and not error:
        return int(moment)
    os.waitpid(pid, 0)
    raise NotStarted(error.strip() or "The script's process ended before it began.")


def _become(order: Order, streams: tuple[int, int], confine: Callable[[], None], report: int) -> None:
    """Runs in the child and never returns. Every other descriptor closes itself at the exec."""
    try:
        os.setsid()
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
        confine()
        processes.die_with_parent()
        os.write(report, b"%d\n" % (time.time_ns() // 1000))
        os.execve(order.command[0], order.command, order.env)  # noqa: S606 - no shell is what we want
    except sandbox.CannotConfine as error:
        _tell(report, str(error))
    except OSError as error:
        _tell(report, f"Cannot start {order.command[0]}: {error.strerror}")
    except ValueError as error:
        _tell(report, f"The arguments or the environment cannot be given to a process: {error}")
    finally:
        os._exit(127)


def _tell(report: int, error: str) -> None:
    os.write(report, f"\n{error}".encode(errors="replace"))
