"""Becomes the script: fork, a session of its own, exec. Standard library only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from work_pools.executors.local import kernel, own_user_process, privileges, processes, sandbox
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


def spawn(order: Order, directory: RunDirectory, isolation: Isolation, uid: int | None) -> Script:
    """Start the order's command; raises ``NotStarted``."""
    (stdout, child_stdout), (stderr, child_stderr) = os.pipe(), os.pipe()
    streams = child_stdout, child_stderr
    pid, machines_pid, started_us = (
        _fork(order, streams, partial(sandbox.confine, isolation, order, directory))
        if uid is None
        else _spawn(order, directory, isolation, uid, streams)
    )
    for descriptor in streams:
        os.close(descriptor)
    if isolation.niceness:
        privileges.stand_back(isolation, machines_pid)
    # Not by the child: what it touches before its exec, it copies.
    session = processes.identity(machines_pid) | {"started_us": started_us, "uid": uid}
    directory.overwrite("session", json.dumps(session).encode())
    return Script(pid, started_us, stdout, stderr)


def _spawn(
    order: Order, directory: RunDirectory, isolation: Isolation, uid: int, streams: tuple[int, int]
) -> tuple[int, int, int]:
    try:
        pid, started_us = own_user_process.spawn(order, directory, isolation, uid, streams)
    except kernel.KernelRefused as error:
        raise NotStarted(f"The script could not be isolated: {error}") from error
    except OSError as error:
        raise NotStarted(f"Cannot start {order.command[0]}: {error.strerror}") from error
    except ValueError as error:
        raise NotStarted(_impossible(error)) from error
    return pid, processes.children(processes.own_pid())[0], started_us


def _fork(order: Order, streams: tuple[int, int], confine: Callable[[], None]) -> tuple[int, int, int]:
    """The script's process by its number here and on the machine, and the moment it began."""
    try:
        report, child_report = os.pipe()
        pid = os.fork()
    except OSError as error:
        raise NotStarted(f"No process could be made for the script: {error.strerror}") from error
    if pid == 0:
        _become(order, streams, confine, child_report)
    os.close(child_report)
    return pid, *_read_report(report, pid)


def _read_report(report: int, pid: int) -> tuple[int, int]:
    """The machine's number of the script's process and the moment of the exec.

    The exec closes the child's end, so numbers with nothing behind them mean success.
    """
    with open(report, "rb") as file:
        numbers, _, error = file.read().decode(errors="replace").partition("\n")
    if numbers and not error:
        machines_pid, moment = map(int, numbers.split())
        return machines_pid, moment
    os.waitpid(pid, 0)
    raise NotStarted(error.strip() or "The script's process ended before it began.")


def _become(order: Order, streams: tuple[int, int], confine: Callable[[], None], report: int) -> None:
    """Runs in the child and never returns. Every other descriptor closes itself at the exec."""
    try:
        os.setsid()
        pid = processes.own_pid()
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
        confine()
        processes.die_with_parent()
        os.write(report, b"%d %d\n" % (pid, time.time_ns() // 1000))
        os.execve(order.command[0], order.command, order.env)  # noqa: S606 - no shell is what we want
    except sandbox.CannotConfine as error:
        _tell(report, str(error))
    except OSError as error:
        _tell(report, f"Cannot start {order.command[0]}: {error.strerror}")
    except ValueError as error:
        _tell(report, _impossible(error))
    finally:
        os._exit(127)


def _impossible(error: ValueError) -> str:
    return f"The arguments or the environment cannot be given to a process: {error}"


def _tell(report: int, error: str) -> None:
    os.write(report, f"\n{error}".encode(errors="replace"))
