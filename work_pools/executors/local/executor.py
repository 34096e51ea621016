"""``Executor`` for scripts as processes of this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import shutil
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platform_api.domain.jobs import JobType
from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, decode
from platform_api.domain.log_limits import LogLimits
from work_pools.executors.local import discarding, log_segments, priority, probe, processes, result_document
from work_pools.executors.local.isolation import LANDLOCK, SYSTEM_FOLDERS, Isolation
from work_pools.executors.local.launcher_link import BASE_PYTHON, LauncherGone, LauncherLink
from work_pools.executors.local.run_directory import RunDirectory
from work_pools.executors.protocol import (
    AlreadyStarted,
    AttemptEnd,
    AttemptOrder,
    AttemptRef,
    EndCause,
    Output,
    Standing,
)

logger = logging.getLogger(__name__)

_SHELL = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
_INTERPRETERS = {JobType.PYTHON: (BASE_PYTHON, "script.py"), JobType.SHELL: (_SHELL, "script.sh")}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Users of scripts are numbered from here on, where nobody else has a number.
FIRST_UID = 200_000

#: A launcher that dies over an order is replaced this often before the attempt counts as not started.
_MORE_ORDERS = 2
_NO_LAUNCHER = "The launcher of scripts died again and again over it."
#: A shim that was killed before it could answer is given up after this.
_ANSWER_SECONDS = 20.0
#: How long a discarded attempt is remembered: longer than a worker can sleep and still believe it holds it.
_SWEEP_SECONDS = 3600.0
#: An attempt may be started by another process, and a folder has no descriptor to wait on in the standard library.
_POLL_SECONDS = 0.1


class LocalExecutor:
    """Keeps a launcher, and finds everything else again in run directories."""

    def __init__(
        self, runs_folder: Path, isolation: Isolation | None = None, log_limits: LogLimits = LogLimits()
    ) -> None:
        self._runs_folder = runs_folder.resolve()
        self._log_limits = log_limits
        self._link: LauncherLink | None = None
        self._linking = asyncio.Lock()
        self._next_sweep = 0.0
        #: About how many scripts run.
        self._waited_for = 0
        wanted = default_isolation(self._runs_folder) if isolation is None else isolation
        self._wanted = wanted._replace(runs_folder=str(self._runs_folder))
        self._isolation: Isolation | None = None
        #: What scripts are not kept from on this machine.
        self.warnings: list[str] = []

    async def open(self) -> None:
        """Start the launcher, so that the first attempt need not wait for it."""
        self._runs_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _allow_many_descriptors()
        await self._sweep()
        if self._isolation is None:
            await self._settle()
        await self._live_link()

    async def _settle(self) -> None:
        bait = self._runs_folder / f".probe-{os.getpid()}"
        bait.write_text("Scripts must not read this.")
        try:
            self._isolation, self.warnings = await probe.settle(self._wanted, str(bait), self._try)
        finally:
            bait.unlink(missing_ok=True)
        for warning in self.warnings:
            logger.warning("On this machine %s", warning)

    async def _try(self, isolation: Isolation, order: AttemptOrder) -> tuple[bytes, str | None]:
        """Run an attempt under an isolation that may not work here."""
        await self.close()
        self._isolation = isolation
        try:
            await self.prepare(order)
            await self.start(order)
            end = await self.wait(order.ref)
            output = await self.read_output(order.ref, 0, LONGEST_PIECE)
            lines = [frame.data.decode(errors="replace") for frame, _ in decode(output.frames)]
            await asyncio.to_thread(shutil.rmtree, os.path.dirname(self._directory(order.ref).path))
        finally:
            self._isolation = None
        if end.exit_code == 0:
            return lines[0].encode(), None
        return b"", end.error or (lines[-1] if lines else f"{end.cause}")

    async def close(self) -> None:
        """Let the launcher go; attempts that run go on running."""
        if self._link:
            await self._link.close()
            self._link = None

    async def prepare(self, order: AttemptOrder) -> None:
        """Make the run directory. Raises ``AlreadyStarted`` when the claim was sealed."""
        script_name, script = _INTERPRETERS[order.type][1], order.script.encode(errors="surrogatepass")
        prepare = self._directory(order.ref).prepare
        if not await asyncio.to_thread(prepare, str(order.claim), script_name, script):
            raise AlreadyStarted

    async def start(self, order: AttemptOrder) -> datetime:
        """Have the launcher fork a shim for a prepared attempt."""
        directory = self._directory(order.ref)
        try:
            started = await self._order(directory, order)
        except (LauncherGone, TimeoutError):
            return await self._start_once_more(directory, order)
        if started is None:
            raise AlreadyStarted
        self._make_room(directory)
        return _moment(started)

    def _make_room(self, directory: RunDirectory) -> None:
        """For the platform, when many run at once."""
        session = directory.read_document("session") if self._waited_for else None
        if session:
            least = self._isolation.niceness if self._isolation else 0
            priority.put_behind(session["pid"], max(least, priority.niceness(self._waited_for)))

    async def _start_once_more(self, directory: RunDirectory, order: AttemptOrder) -> datetime:
        """The launcher or the shim died before it answered: the attempt may have started all the same."""
        logger.warning("The start of %s was not answered; it is ordered again", order.ref)
        for _ in range(_MORE_ORDERS):
            with suppress(LauncherGone, TimeoutError):
                if (started := await self._order(directory, order)) is not None:
                    return _moment(started)
                break
        claim = str(order.claim)
        if directory.take(claim, processes.identity(os.getpid()) | {"claim": claim}):
            directory.record_end({"cause": "not_started", "ended_us": _now_us(), "error": _NO_LAUNCHER})
            return datetime.now(UTC)
        known = directory.read_document("started")
        if known and known.get("claim") == claim:
            return await self._began(directory, known)
        raise AlreadyStarted

    async def standing(self, ref: AttemptRef) -> Standing:
        """Seal the attempt and look what became of it."""
        directory = self._directory(ref)
        if await asyncio.to_thread(directory.seal):
            return Standing.NEVER_STARTED
        if directory.has_ended():
            return Standing.ENDED
        shim = processes.open_pidfd(directory.read_document("started"))
        if shim is None:
            return Standing.ENDED
        os.close(shim)
        return Standing.RUNNING

    async def wait(self, ref: AttemptRef) -> AttemptEnd:
        """Watch the shim's process; it need not be a child of this one."""
        directory = self._directory(ref)
        while directory.exists():
            shim = directory.read_document("started")
            if shim is not None and not directory.is_discarded():
                # What never had a shim of its own is recorded by a process that goes on: the launcher, or this one.
                if not directory.has_ended():
                    await self._until_gone(shim)
                record = directory.read_document("exit")
                return _end(ref, record if record else await asyncio.to_thread(_lost, directory))
            if shim is not None:
                break
            await asyncio.sleep(_POLL_SECONDS)
        return _end(ref, {"cause": "lost", "ended_us": _now_us(), "error": "Nothing is kept of this attempt."})

    async def _until_gone(self, shim: dict[str, Any]) -> None:
        self._waited_for += 1
        try:
            await _until_gone(shim)
        finally:
            self._waited_for -= 1

    async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
        """Straight from the shim's files; never so few bytes that the largest frame would not fit."""
        directory = self._directory(ref)
        found = log_segments.read(directory.log, directory.log_ring, offset, max(size, HEADER.size + LONGEST_PIECE))
        return Output(found.offset, found.frames, found.before, found.unfinished)

    async def stop(self, ref: AttemptRef, cause: EndCause) -> None:
        """Leave the cause and signal the shim; one that is just starting looks for the cause itself."""
        directory = self._directory(ref)
        with suppress(FileNotFoundError):
            directory.write("stop", cause.value.encode())
        shim = processes.open_pidfd(directory.read_document("started"))
        if shim is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(shim, signal.SIGTERM)
            os.close(shim)

    async def discard(self, ref: AttemptRef) -> None:
        """Empty the run directory; what keeps the attempt from starting again goes an hour later."""
        await asyncio.to_thread(discarding.discard, self._directory(ref))
        if time.monotonic() > self._next_sweep:
            await self._sweep()

    def _directory(self, ref: AttemptRef) -> RunDirectory:
        return RunDirectory(f"{self._runs_folder}/{ref.execution_id}/{ref.attempt}")

    async def _sweep(self) -> None:
        self._next_sweep = time.monotonic() + _SWEEP_SECONDS
        await asyncio.to_thread(discarding.forget_discarded, self._runs_folder, _SWEEP_SECONDS)

    async def _live_link(self) -> LauncherLink:
        async with self._linking:
            if self._link is None or self._link.is_gone:
                if self._link:
                    await self._link.close()
                self._link = await LauncherLink.open(self._isolation or Isolation.off())
            return self._link

    async def _order(self, directory: RunDirectory, order: AttemptOrder) -> int | None:
        interpreter, script_name = _INTERPRETERS[order.type]
        command = [interpreter, f"{directory.code(str(order.claim))}/{script_name}", *order.arguments]
        limits = (order.timeout_seconds, order.grace_seconds, order.memory_bytes, order.cpu_cores)
        env = _environment(directory, order, self._isolation or Isolation.off())
        link = await self._live_link()
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await link.order(directory.path, str(order.claim), command, env, limits, self._log_limits)

    async def _began(self, directory: RunDirectory, shim: dict[str, Any]) -> datetime:
        """When the script of a known shim began; the shim is at most about to say so."""
        while True:
            if known := directory.read_document("session") or directory.read_document("exit"):
                return _moment(known.get("started_us") or known["ended_us"])
            if (descriptor := processes.open_pidfd(shim)) is None:
                return datetime.now(UTC)
            os.close(descriptor)
            await asyncio.sleep(0.01)


def default_isolation(runs_folder: Path) -> Isolation:
    """As strict as this process can have it: nothing beside the runs is hidden, as nothing more is known here."""
    return Isolation(
        first_uid=FIRST_UID if os.getuid() == 0 else 0,
        hidden=(str(runs_folder),),
        readable=(*SYSTEM_FOLDERS, *_interpreter(), *_name_servers()),
    )


def _interpreter() -> list[str]:
    """Where the interpreter and its library are, when not in the system's own folders."""
    places = {sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.path.dirname(BASE_PYTHON))}
    return sorted(place for place in places if place != "/" and not place.startswith(SYSTEM_FOLDERS))


def _name_servers() -> list[str]:
    """Often a link to where the system keeps its passing state, which scripts do not see."""
    path = os.path.realpath("/etc/resolv.conf")
    return [] if path.startswith(SYSTEM_FOLDERS) else [path]


def _environment(directory: RunDirectory, order: AttemptOrder, isolation: Isolation) -> dict[str, str]:
    # A shell that is not told which shell it is asks for its user, which costs it more than all the rest.
    defaults = {"PATH": _PATH, "HOME": directory.work, "SHELL": _SHELL, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    if isolation.level == LANDLOCK:
        defaults["TMPDIR"] = directory.temporary
    return defaults | order.env | {"JOB_RESULT": _result_path(directory)}


def _result_path(directory: RunDirectory) -> str:
    return f"{directory.work}/{result_document.FILE_NAME}"


async def _until_gone(known: dict[str, Any]) -> None:
    descriptor = processes.open_pidfd(known)
    if descriptor is None:
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _lost(directory: RunDirectory) -> dict[str, Any]:
    """Record that a shim vanished, after killing what it watched."""
    session = directory.read_document("session")
    processes.kill_left(f"JOB_RESULT={_result_path(directory)}".encode(), session)
    trouble = f"{directory.path}/trouble"
    record = {
        "cause": "lost",
        "started_us": session.get("started_us") if session else None,
        "ended_us": _now_us(),
        "error": Path(trouble).read_text() if os.path.exists(trouble) else None,
    }
    directory.record_end(record)
    return record


def _end(ref: AttemptRef, record: dict[str, Any]) -> AttemptEnd:
    started = record.get("started_us")
    return AttemptEnd(
        ref,
        EndCause(record["cause"]),
        _moment(started) if started is not None else None,
        _moment(record["ended_us"]),
        **{name: record.get(name) for name in _COPIED},
    )


_COPIED = ("exit_code", "signal", "error", "result", "result_error", "cpu_seconds", "peak_memory_bytes")


def _allow_many_descriptors() -> None:
    """Each attempt that is waited for takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def _now_us() -> int:
    return time.time_ns() // 1000
