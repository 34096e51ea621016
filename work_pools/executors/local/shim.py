"""Watches one script from its first to its last process. Standard library only.

It outlives the worker that ordered the script, holds the other ends of the script's output, keeps its time limit,
and writes how it ended. A worker speaks to it by SIGTERM alone, with the cause in the file ``stop``.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from typing import Any

from platform_api.domain.log_limits import LogLimits
from work_pools.executors.local import processes, result_document, sandbox
from work_pools.executors.local.capture import LogFile
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import Answer, Order
from work_pools.executors.local.run_directory import RunDirectory
from work_pools.executors.local.script_process import NotStarted, spawn
from work_pools.executors.local.usage import Usage, amount, memory_text
from work_pools.executors.local.watch import Watch


def run(order: Order, answers: int, isolation: Isolation) -> None:
    """The whole life of a shim, in a process of its own that was just forked."""
    os.setsid()
    directory, pid = RunDirectory(order.directory), processes.own_pid()
    uid = sandbox.own_user(isolation, pid)
    watch = Watch(directory, order, Usage(isolation, order, directory, pid), sandbox.signal_of(isolation))
    if not directory.take(order.claim, processes.identity(pid) | {"claim": order.claim}):
        answer(answers, Answer(order.number, None))
        return
    try:
        work = os.open(directory.work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        log = LogFile(directory.log, directory.log_ring, LogLimits(order.log_head_bytes, order.log_tail_bytes))
        processes.adopt_orphans()
        sandbox.hand_over(order, directory, uid)
        watch.begin(spawn(order, directory, isolation, uid), log)
    except (NotStarted, OSError) as error:
        answer(answers, refuse(order, directory, str(error)))
        return
    answer(answers, Answer(order.number, watch.script.started_us))
    os.close(answers)
    watch.until_over()
    directory.record_end(_judged(_verdict(watch) | _consumed(), order, isolation) | _result(work))


def answer(answers: int, what: Answer) -> None:
    """Tell the worker, if it still listens and keeps up; what it misses here it finds in the run directory."""
    try:
        os.write(answers, what.encode())
    except (BrokenPipeError, BlockingIOError):
        return


def refuse(order: Order, directory: RunDirectory, error: str) -> Answer:
    """Record that a started attempt has no script, and why."""
    now = time.time_ns() // 1000
    directory.record_end({"cause": "not_started", "ended_us": now, "error": error})
    return Answer(order.number, now)


def refuse_unstarted(order: Order, error: str) -> Answer:
    """``refuse`` for an attempt that did not get as far as a shim of its own."""
    directory = RunDirectory(order.directory)
    if directory.take(order.claim, processes.identity(os.getpid()) | {"claim": order.claim}):
        return refuse(order, directory, error)
    return Answer(order.number, None)


def _verdict(watch: Watch) -> dict[str, Any]:
    status = watch.status
    exited = status is not None and os.WIFEXITED(status)
    return {
        "cause": watch.cause or ("exited" if exited else "signalled"),
        "exit_code": os.WEXITSTATUS(status) if status is not None and exited else None,
        "signal": os.WTERMSIG(status) if status is not None and not exited else None,
        "started_us": watch.script.started_us,
        "ended_us": watch.ended_us or time.time_ns() // 1000,
        "error": watch.error,
    }


def _judged(record: dict[str, Any], order: Order, isolation: Isolation) -> dict[str, Any]:
    """What the kernel did to a script that went too far between two looks at it."""
    excess = None
    if record["signal"] == signal.SIGXFSZ:
        excess = f"file size limit of {amount(isolation.disk_bytes)} exceeded"
    elif order.memory_bytes and record["peak_memory_bytes"] > order.memory_bytes and record["exit_code"] != 0:
        excess = memory_text(order.memory_bytes)
    return record | {"cause": "limit_exceeded", "error": excess} if excess and not record["error"] else record


def _consumed() -> dict[str, Any]:
    """Over all processes of the script. The peak is the largest single one's, the fork before its exec included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_memory_bytes": usage.ru_maxrss * 1024}


def _result(work: int) -> dict[str, Any]:
    try:
        return {"result": result_document.take(work)}
    except result_document.Refused as error:
        return {"result_error": str(error)}
