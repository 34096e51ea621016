"""A worker's end of its launcher: orders out, answers back."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import work_pools
from platform_api.domain.log_limits import LogLimits
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.local.orders import Answer, Order

#: The platform's own interpreter without its virtual environment: what scripts run with, too.
BASE_PYTHON: str = getattr(sys, "_base_executable", sys.executable)

_PACKAGE_ROOT = str(Path(work_pools.__file__).parent.parent)
_BOOT = (
    f"import sys; sys.path.insert(0, {_PACKAGE_ROOT!r}); "
    "from work_pools.executors.local.launcher import run_from_command_line as run; run()"
)


class LauncherGone(Exception):
    """The launcher ended before it answered; nothing will be started by it any more."""


class LauncherLink:
    """One launcher and the orders that it has not answered."""

    def __init__(self, process: asyncio.subprocess.Process, orders: asyncio.StreamWriter) -> None:
        self.process = process
        self._orders = orders
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[int | None]] = {}
        self._listening: asyncio.Task[None]
        self.is_gone = False

    @classmethod
    async def open(cls, isolation: Isolation) -> LauncherLink:
        """Start a launcher."""
        (ours, theirs), (answers, their_answers) = socket.socketpair(), os.pipe()
        # A shim must never wait for a worker that stands still.
        os.set_blocking(their_answers, False)
        try:
            process = await _start_launcher(theirs.fileno(), their_answers, isolation)
        finally:
            theirs.close()
            os.close(their_answers)
        _, writer = await asyncio.open_connection(sock=ours)
        link = cls(process, writer)
        link._listening = asyncio.create_task(link._listen(answers))
        return link

    async def order(
        self,
        directory: str,
        claim: str,
        command: Sequence[str],
        env: Mapping[str, str],
        limits: tuple[float, float, int | None, float | None],
        log: LogLimits,
    ) -> int | None:
        """Have a shim run this; its start in microseconds, None when somebody else has started or sealed it."""
        if self.is_gone:
            raise LauncherGone
        number = next(self._numbers)
        answered: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        self._orders.write(Order(number, directory, claim, list(command), dict(env), *limits, *log).encode())
        return await answered

    async def close(self) -> None:
        """Let the launcher end, and wait until it has; its shims go on."""
        self._orders.close()
        await self._listening
        await self.process.wait()

    async def _listen(self, answers: int) -> None:
        """Until the launcher is gone and no shim of its is left that could still answer."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers, "rb", buffering=0)
        )
        while line := await reader.readline():
            self._take(Answer.decode(line))
        transport.close()
        self._give_up()

    def _take(self, answer: Answer) -> None:
        waiting = self._waiting.pop(answer.number, None)
        if waiting and not waiting.done():
            waiting.set_result(answer.started_us)

    def _give_up(self) -> None:
        self.is_gone = True
        self._orders.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LauncherGone())
        self._waiting.clear()


async def _start_launcher(orders: int, answers: int, isolation: Isolation) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(BASE_PYTHON, "-I", "-S", "-X", "utf8", "-c", _BOOT, str(orders), str(answers), isolation.encode()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=(orders, answers),
        start_new_session=True,
        env={},
        cwd="/",
    )
