"""One supervised process: how it is started, where its words go and how it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from platform_api.embedded.gate import OPEN
from platform_api.embedded.processes import Identity, dies_with_parent

#: One log and one predecessor of this size are kept per child.
LOG_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """What is started. Secrets belong into ``environment``: every user of the machine can read a command line."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    stop_seconds: float
    stop_signal: signal.Signals = signal.SIGTERM
    #: What the kernel sends when the supervisor dies.
    death_signal: signal.Signals = signal.SIGKILL
    #: Run in the child before its program, to change its user.
    become: Callable[[], None] | None = None
    #: It waits at its gate (see ``embedded.gate``) until ``Child.open_gate``.
    gated: bool = False


class Child:
    """A process made from its plan, again and again."""

    def __init__(self, plan: ChildPlan) -> None:
        self.plan = plan
        self._process: asyncio.subprocess.Process | None = None
        self._gate_is_open = False
        self.identity: Identity | None = None

    async def start(self) -> None:
        """Start the program in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        bound(self.plan.log)
        with self.plan.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.plan.command,
                stdin=asyncio.subprocess.PIPE if self.plan.gated else asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.plan.environment),
                start_new_session=True,
                preexec_fn=dies_with_parent(self.plan.death_signal, self.plan.become),
            )
        self.identity = Identity.of(self._process.pid)
        if self._gate_is_open:
            self._let_go()

    def open_gate(self) -> None:
        """Let the program go on, now and whenever it is started again."""
        self._gate_is_open = True
        self._let_go()

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(OPEN)
            self._process.stdin.close()

    @property
    def is_running(self) -> bool:
        """Whether the program runs now."""
        return self._process is not None and self._process.returncode is None

    async def wait(self) -> str:
        """How the program ended, in words."""
        if self._process is None:
            return "never started"
        return how_it_ended(await self._process.wait())

    async def stop(self) -> None:
        """Ask the program to end, and kill it when its time is over."""
        if self._process is None or not self.is_running:
            return
        self._send(self.plan.stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), self.plan.stop_seconds)
        except TimeoutError:
            self._send(signal.SIGKILL)
            await self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def last_words(self, size: int = 2000) -> str:
        """The end of the log."""
        if not self.plan.log.exists():
            return "(it wrote no log)"
        with self.plan.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - size))
            return log.read().decode(errors="replace").strip() or "(it wrote nothing)"


def how_it_ended(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def bound(log: Path) -> None:
    """Move a log that has grown too long aside, in place: the program that writes it (in append mode) goes on."""
    if not log.exists() or log.stat().st_size < LOG_BYTES:
        return
    aside = log.with_name(f"{log.name}.1")
    aside.unlink(missing_ok=True)
    with log.open("rb") as old, open(os.open(aside, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as new:
        old.seek(-LOG_BYTES, os.SEEK_END)
        new.write(old.read(LOG_BYTES))
    os.truncate(log, 0)
