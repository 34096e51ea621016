"""Runs hostile scripts through the local executor, as root or as an ordinary user, in a process of its own.

`python -m tests.suspects <runs folder> <isolation>` is that process: orders as lines of JSON in, ends as lines out.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platform_api.domain.jobs import JobType
from tests.attempts import attempt_order, lines_of
from work_pools.executors.local import kernel
from work_pools.executors.local.executor import LocalExecutor
from work_pools.executors.local.isolation import Isolation

ROOT = Path(__file__).parent.parent
ORDINARY_USER = 43210


@dataclass(frozen=True)
class Outcome:
    """What became of a script."""

    cause: str
    exit_code: int | None
    signal: int | None
    error: str | None
    lines: list[str]
    seconds: float

    @property
    def said(self) -> Any:
        """The JSON document of its last line."""
        return json.loads(self.lines[-1])


class Suspects:
    """The other end of the process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.warnings: list[str] = []
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}

    @classmethod
    async def open(cls, runs: Path, isolation: Isolation, *, ordinary: bool) -> Suspects:
        """Start it and wait until its executor is open."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(Path(__file__)), str(runs), isolation.encode(), str(int(ordinary))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "WORKERS_SECRET": "the-workers-secret"},
        )
        suspects = cls(process)
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line, "the driver did not start"
        suspects.warnings = json.loads(line)
        suspects._listening = asyncio.create_task(suspects._listen())
        return suspects

    _listening: asyncio.Task[None]

    async def run(self, script: str, **order: Any) -> Outcome:
        """Run one script to its end."""
        number = len(self._waiting)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([number, script, order]).encode() + b"\n")
        return await asyncio.wait_for(future, 15)

    async def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self._listening
        await self.process.wait()

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            number, outcome = json.loads(line)
            self._waiting[number].set_result(Outcome(**outcome))


async def _serve(runs: Path, isolation: Isolation) -> None:
    executor = LocalExecutor(runs, isolation)
    await executor.open()
    print(json.dumps(executor.warnings), flush=True)
    async with asyncio.TaskGroup() as tasks:
        while line := await asyncio.to_thread(sys.stdin.readline):
            tasks.create_task(_run(executor, *json.loads(line)))
    await executor.close()


async def _run(executor: LocalExecutor, number: int, script: str, order: dict[str, Any]) -> None:
    memory = order.pop("memory_bytes", None)
    ready = attempt_order(script, **order | {"type": JobType(order.get("type", "shell"))})
    ready = replace(ready, memory_bytes=memory)
    await executor.prepare(ready)
    begun = await executor.start(ready)
    end = await executor.wait(ready.ref)
    seconds = (end.ended_at - begun).total_seconds()
    outcome = Outcome(end.cause, end.exit_code, end.signal, end.error, await lines_of(executor, ready.ref), seconds)
    print(json.dumps([number, vars(outcome)]), flush=True)
    await executor.discard(ready.ref)


def _become_ordinary() -> None:
    """Without a right, and with an interpreter that an ordinary user can reach wherever root keeps it."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    places = {place: os.open(place, os.O_PATH) for place in {sys.base_prefix, sys.prefix, str(ROOT)}}
    closed = {f"/{place.split('/')[1]}" for place in places if not place.startswith("/usr")}
    for folder in closed - {"/tmp"}:  # noqa: S108 - where the test's own folder is
        kernel.mount("tmpfs", folder, "tmpfs", 0, "mode=755")
    for place, descriptor in places.items():
        os.makedirs(place, exist_ok=True)
        kernel.mount(f"/proc/self/fd/{descriptor}", place, None, kernel.MS_BIND | kernel.MS_REC)
        os.close(descriptor)
    os.setgroups([])
    os.setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)
    os.setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER)


if __name__ == "__main__":
    if sys.argv[3] == "1" and os.getuid() == 0:
        _become_ordinary()
    asyncio.run(_serve(Path(sys.argv[1]), Isolation.decode(sys.argv[2])))
