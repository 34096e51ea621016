"""Keeps the platform's processes running, and says how they are.

1. Every child is started by the main thread, because the kernel ends it with the thread that made it.
2. One that ends is started again after 0.5 s, 1 s, 2 s, ... up to 30 s; after a minute of life it starts over.
3. After each change the whole state is written to the home: the health check reads it, and the next supervisor
   finds there whom to wait for when this one is killed.
4. They are stopped in ``STOP_ORDER``: whoever needs another one ends before it.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from platform_api.embedded.child import Child, ChildPlan, bound
from platform_api.embedded.home import Home, write_private_json
from platform_api.embedded.processes import Identity, end_leftovers
from platform_api.embedded.progress import Progress
from platform_api.ports.supervision import ChildReport, FileSupervision, SupervisorReport

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
#: A child that has lived this long has recovered: its next death counts as the first.
RECOVERED_SECONDS = 60.0
PATIENT_RESTARTS = 3
LOG_CHECK_SECONDS = 20.0
#: What a killed supervisor's children get to end by themselves: PostgreSQL writes its last checkpoint meanwhile.
LEFTOVER_GRACE_SECONDS = 8.0

#: The API drains its requests first; PostgreSQL ends last.
STOP_ORDER = ("api", "worker", "prefect", "postgres")


def delay_before_restart(deaths: int) -> float:
    """The pause before the start that follows the ``deaths``-th death in a row."""
    return float(min(FIRST_DELAY_SECONDS * 2 ** (deaths - 1), LONGEST_DELAY_SECONDS))


@dataclass
class _Kept:
    child: Child
    status: str = "starting"
    restarts: int = 0
    last_end: str | None = None
    last_end_at: datetime | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def report(self) -> ChildReport:
        identity = self.child.identity if self.child.is_running else None
        return ChildReport(
            name=self.child.plan.name,
            status=self.status,
            restarts=self.restarts,
            last_end=self.last_end,
            last_end_at=self.last_end_at,
            pid=identity.pid if identity else None,
            started=identity.started if identity else None,
        )


class Supervisor:
    """The children of one ``up``."""

    def __init__(self, home: Home, progress: Progress) -> None:
        self.home = home
        self.progress = progress
        self._kept: list[_Kept] = []
        self._phase = "starting"
        self._stopping = asyncio.Event()
        self._log_task: asyncio.Task[None] | None = None

    async def end_leftovers(self, grace_seconds: float = LEFTOVER_GRACE_SECONDS) -> None:
        """Wait for the children of a supervisor that was killed, then kill them; nobody else is touched."""
        report = FileSupervision(self.home.children).report()
        known = [Identity(c.pid, c.started) for c in report.children if c.pid and c.started] if report else []
        ended = await asyncio.to_thread(end_leftovers, known, grace_seconds)
        if ended:
            self.progress.say(f"the last `up` was killed: ended {len(ended)} process(es) that it left")

    async def add(self, plan: ChildPlan) -> Child:
        """Start a child and keep it running."""
        kept = _Kept(Child(plan))
        self._kept.append(kept)
        await self._start(kept)
        kept.task = asyncio.create_task(self._keep(kept), name=f"keep {plan.name}")
        self._log_task = self._log_task or asyncio.create_task(self._bound_logs(), name="bound logs")
        return kept.child

    async def _start(self, kept: _Kept) -> None:
        await kept.child.start()
        kept.status = "running"
        self._write()

    async def _keep(self, kept: _Kept) -> None:
        deaths = 0
        while True:
            began = time.monotonic()
            end = await kept.child.wait()
            if self._stopping.is_set():
                return
            deaths = 1 if time.monotonic() - began > RECOVERED_SECONDS else deaths + 1
            await self._start_again(kept, end, delay_before_restart(deaths))
            if self._stopping.is_set():
                return

    async def _start_again(self, kept: _Kept, end: str, delay: float) -> None:
        name = kept.child.plan.name
        kept.status, kept.last_end, kept.last_end_at = "waiting", end, datetime.now(UTC)
        self._write()
        self.progress.say(f"{name} ended ({end}); it is started again in {delay:g} s. Its last words:")
        self.progress.say(kept.child.last_words(800))
        if await self._stops_within(delay):
            return
        kept.restarts += 1
        try:
            await self._start(kept)
        except OSError as error:
            # No memory or no disk for now: its end is found again at once, and the pause grows.
            self.progress.say(f"{name} could not be started: {error}")
        else:
            self.progress.say(f"{name} started again (restart {kept.restarts})")

    async def _stops_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _bound_logs(self) -> None:
        while not await self._stops_within(LOG_CHECK_SECONDS):
            for kept in self._kept:
                bound(kept.child.plan.log)

    def child(self, name: str) -> Child:
        """The child of that name; raises ``StopIteration`` when there is none."""
        return next(kept.child for kept in self._kept if kept.child.plan.name == name)

    def hopeless(self) -> Child | None:
        """A child that has died so often that it will not mend itself; asked before all were ready once."""
        return next((kept.child for kept in self._kept if kept.restarts >= PATIENT_RESTARTS), None)

    def serving(self) -> None:
        """Everything is up for the first time."""
        self._phase = "serving"
        self._write()

    async def stop(self) -> None:
        """Stop all in order; each has its own deadline."""
        self._phase = "stopping"
        self._stopping.set()
        self._write()
        for kept in sorted(self._kept, key=lambda kept: STOP_ORDER.index(kept.child.plan.name)):
            with self.progress.step(kept.child.plan.name, "stopping", "stopped"):
                # A child that is just being started again ends its start first, so none slips through.
                await asyncio.gather(kept.child.stop(), *([kept.task] if kept.task else []))
                await kept.child.stop()
            kept.status = "stopped"
            self._write()
        if self._log_task is not None:
            await self._log_task

    def _write(self) -> None:
        report = SupervisorReport(self._phase, [kept.report() for kept in self._kept], os.getpid())
        try:
            write_private_json(self.home.children, report.to_json())
        except OSError as error:
            # A full disk must not end the supervision; the report is behind meanwhile.
            self.progress.say(f"the state of the processes could not be written: {error}")
