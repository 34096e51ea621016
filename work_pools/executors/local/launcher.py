"""Forks a shim for each order of one worker. Standard library only.

It is small, has one thread and none of the worker's environment, memory or descriptors: a fork of it takes about a
millisecond, and a script finds nothing in it. It ends when its worker does; its shims go on.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator

from work_pools.executors.local import kernel, processes, sandbox, shim
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import LENGTH, Order
from work_pools.executors.local.run_directory import RunDirectory


def main(orders: int, answers: int, isolation: Isolation) -> None:
    """Serve orders until the worker is gone."""
    os.set_inheritable(orders, False)
    os.set_inheritable(answers, False)
    fault = _prepare(isolation)
    # Shims are nobody's to wait for; each undoes this for its own children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    processes.hide_memory()
    processes.boot_id()
    # A collection would touch, and so copy, pages that all shims share.
    gc.disable()
    gc.freeze()
    for document in _documents(orders):
        order = Order.decode(document)
        if fault:
            shim.answer(answers, shim.refuse_unstarted(order, fault))
        else:
            _launch(order, orders, answers, isolation)


def _prepare(isolation: Isolation) -> str | None:
    """Why no script can be started, if so: whoever orders one hears it."""
    try:
        sandbox.prepare_for_all(isolation)
    except sandbox.CannotConfine as error:
        return str(error)
    return None


def _documents(orders: int) -> Iterator[bytes]:
    with open(orders, "rb", closefd=False) as stream:
        while len(header := stream.read(LENGTH.size)) == LENGTH.size:
            length: int = LENGTH.unpack(header)[0]
            document = stream.read(length)
            if len(document) == length:
                yield document


def _launch(order: Order, orders: int, answers: int, isolation: Isolation) -> None:
    try:
        pid = kernel.fork(sandbox.of_a_shim(isolation))
    except OSError as error:
        refused = shim.refuse_unstarted(order, f"No process could be made for the script: {error.strerror}")
        shim.answer(answers, refused)
        return
    if pid == 0:
        _be_shim(order, orders, answers, isolation)


def _be_shim(order: Order, orders: int, answers: int, isolation: Isolation) -> None:
    """Never returns."""
    try:
        # Or the worker would not see that its launcher died.
        os.close(orders)
        shim.run(order, answers, isolation)
    except Exception:  # noqa: BLE001 - the last word of a process that nobody else hears; the attempt counts as lost
        import traceback  # not before: every fork would copy it

        RunDirectory(order.directory).write("trouble", traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(0)


def run_from_command_line() -> None:
    """``launcher <orders' descriptor> <answers' descriptor> <isolation>``."""
    main(int(sys.argv[-3]), int(sys.argv[-2]), Isolation.decode(sys.argv[-1]))
