"""Scripts as real processes: what they leave behind, write and see, and what outlives whom."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from platform_api.domain.jobs import JobType
from tests.attempts import as_written, attempt_order, begin, lines_of, log_frames_of, until, until_lines
from work_pools.executors.local.executor import LocalExecutor
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.protocol import AlreadyStarted, AttemptRef, EndCause, Standing

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
async def executor(runs: Path) -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(runs, Isolation.off())
    await executor.open()
    yield executor
    await executor.close()


def _shim_of(runs: Path, ref: AttemptRef) -> int:
    pid: int = json.loads((runs / str(ref.execution_id) / str(ref.attempt) / "started").read_text())["pid"]
    return pid


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def _until_gone(pids: list[int]) -> None:
    async def are_gone() -> bool:
        return not any(_is_running(pid) for pid in pids)

    await until(are_gone)


def _content_of_files_and_command_lines(folder: Path) -> list[bytes]:
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    return kept + commands


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class TestWhatAScriptLeavesBehind:
    #: A daemon as hard to find as they come: own session, orphan twice over, deaf to signals, no environment.
    DAEMON = "env -i setsid bash -c 'trap \"\" TERM HUP; (echo $BASHPID; exec sleep 60) &' & sleep .2"

    @pytest.mark.parametrize("ending", ["exit 0", "sleep 60", "trap '' TERM; while :; do sleep .1; done"])
    async def test_no_process_outlives_the_attempt(self, executor: LocalExecutor, ending: str) -> None:
        order = attempt_order(
            f"{self.DAEMON}; {self.DAEMON}; sleep 60 & nohup sleep 60 & echo $!; {ending}",
            timeout_seconds=1,
            grace_seconds=0.2,
        )
        ref = await begin(executor, order)
        end = await executor.wait(ref)
        assert end.cause is (EndCause.EXITED if ending == "exit 0" else EndCause.TIMED_OUT)
        pids = [int(line) for line in await lines_of(executor, ref)]
        assert len(pids) == 3
        assert not any(_is_running(pid) for pid in pids)

    async def test_the_end_is_when_the_script_ended_not_its_leftovers(self, executor: LocalExecutor) -> None:
        end = await executor.wait(await begin(executor, attempt_order("sleep 60 & date +%s.%N; exit 0")))
        known = datetime.now(UTC)
        # Leftovers get a second; the script's last word is nearer to its end than that.
        (said,) = await lines_of(executor, end.ref)
        assert end.ended_at.timestamp() - float(said) < (known - end.ended_at).total_seconds()

    async def test_a_helper_of_its_output_may_finish_it(self, executor: LocalExecutor) -> None:
        ref = await begin(executor, attempt_order("exec > >(sleep .2; sed s/^/out:/); echo late"))
        await executor.wait(ref)
        assert await lines_of(executor, ref) == ["out:late"]

    async def test_children_may_clean_up_when_their_shell_is_stopped(self, executor: LocalExecutor) -> None:
        child = "import signal, time; print('ready', flush=True); signal.sigwait([15]); time.sleep(1.5); print('clean')"
        script = f'"{sys.executable}" -c "import signal; signal.pthread_sigmask(0, [15]); {child}"; true'
        ref = await begin(executor, attempt_order(script))
        await until_lines(executor, ref, 1)
        await executor.stop(ref, EndCause.CANCELLED)
        await executor.wait(ref)
        assert (await lines_of(executor, ref))[:2] == ["ready", "clean"]


class TestWhatAScriptWrites:
    async def _written(self, executor: LocalExecutor, script: str) -> bytes:
        ref = await begin(executor, attempt_order(script, type=JobType.PYTHON))
        assert (await executor.wait(ref)).exit_code == 0
        return as_written(await log_frames_of(executor, ref), "stdout")

    async def test_lines_of_ten_megabytes(self, executor: LocalExecutor) -> None:
        written = await self._written(executor, "for c in 'abc': print(c * 10_000_000)")
        assert written == b"".join(bytes([c]) * 10_000_000 + b"\n" for c in b"abc")

    async def test_a_hundred_thousand_lines_at_once(self, executor: LocalExecutor) -> None:
        written = await self._written(
            executor, "import sys; sys.stdout.write(''.join(f'{n}\\n' for n in range(10**5)))"
        )
        assert written == b"".join(b"%d\n" % n for n in range(100_000))

    async def test_a_flood_of_fifty_megabytes_in_bounded_memory(self, executor: LocalExecutor, runs: Path) -> None:
        script = "import random, os\nr = random.Random(1)\nfor _ in range(50): os.writev(1, [r.randbytes(1 << 20)])"
        ref = await begin(executor, attempt_order(script, type=JobType.PYTHON))
        peak = 0
        waiting = asyncio.create_task(executor.wait(ref))
        while not waiting.done():
            peak = max(peak, _resident_kilobytes(_shim_of(runs, ref)))
            await asyncio.wait([waiting], timeout=0.05)
        assert (await waiting).exit_code == 0
        assert 0 < peak < 32 * 1024
        source = random.Random(1)  # noqa: S311 - the same bytes as the script's
        expected = b"".join(source.randbytes(1 << 20) for _ in range(50))
        written = as_written(await log_frames_of(executor, ref, 4 << 20), "stdout")
        assert hashlib.sha256(written).digest() == hashlib.sha256(expected).digest()

    async def test_closing_its_streams_ends_nothing_but_them(self, executor: LocalExecutor) -> None:
        ref = await begin(executor, attempt_order("echo first; exec 1>&-; sleep .2; echo second >&2; exit 6"))
        assert (await executor.wait(ref)).exit_code == 6
        assert await lines_of(executor, ref) == ["first", "second"]


#: Signals 32 and 33 belong to the C library, which lets nobody set them: they stay as whoever ran the tests had them.
LIBC_SIGNALS = 0b11 << 31


class TestWhatAScriptSees:
    async def test_nothing_of_the_workers_environment(
        self, executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WORKERS_SECRET", "hunter2")
        script = "env; cat /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n'"
        ref = await begin(executor, attempt_order(script, env={"MINE": "1"}))
        await executor.wait(ref)
        names = {line.partition("=")[0] for line in await lines_of(executor, ref)}
        assert names == {"MINE", "PATH", "HOME", "LANG", "SHELL"} | {
            *("PYTHONUNBUFFERED", "JOB_RESULT", "PWD", "SHLVL", "_")
        }

    async def test_no_descriptor_but_its_three(self, executor: LocalExecutor) -> None:
        script = "cd /proc/self/fd; for fd in *; do [ -e $fd ] && echo $fd; done; readlink 0"
        ref = await begin(executor, attempt_order(script))
        await executor.wait(ref)
        # 255 is bash's own, for the script it reads.
        assert sorted(set(await lines_of(executor, ref)) - {"255"}) == ["/dev/null", "0", "1", "2"]

    async def test_signals_umask_and_folder_as_a_login_would_give_them(self, executor: LocalExecutor) -> None:
        script = "grep -E 'Sig(Blk|Ign)' /proc/self/status; umask; [ $PWD = $HOME ] && basename $PWD"
        ref = await begin(executor, attempt_order(script))
        await executor.wait(ref)
        blocked, ignored, *rest = await lines_of(executor, ref)
        assert [int(row.split()[1], 16) & ~LIBC_SIGNALS for row in (blocked, ignored)] == [0, 0]
        assert rest == ["0022", "work"]

    async def test_a_session_of_its_own(self, executor: LocalExecutor) -> None:
        script = "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid())"
        ref = await begin(executor, attempt_order(script, type=JobType.PYTHON))
        await executor.wait(ref)
        assert await lines_of(executor, ref) == ["True"]

    @pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="the tests run without a virtual environment")
    async def test_nothing_of_the_platforms_packages(self, executor: LocalExecutor) -> None:
        ref = await begin(executor, attempt_order("import work_pools", type=JobType.PYTHON))
        assert (await executor.wait(ref)).exit_code == 1

    async def test_no_secret_reaches_the_disk_or_a_command_line(self, executor: LocalExecutor, runs: Path) -> None:
        ref = await begin(executor, attempt_order("echo ready; sleep 30", env={"PASSWORD": "hunter2"}))
        await until_lines(executor, ref, 1)
        visible = _content_of_files_and_command_lines(runs)
        await executor.stop(ref, EndCause.CANCELLED)
        await executor.wait(ref)
        assert not any(b"hunter2" in content for content in visible)

    @pytest.mark.parametrize(
        "trick",
        ['ln -s /etc/passwd "$JOB_RESULT"', 'mkfifo "$JOB_RESULT"', 'mkdir "$JOB_RESULT"', 'ln -s x "$JOB_RESULT"'],
    )
    async def test_a_result_that_is_no_file_of_its_own_is_refused(self, executor: LocalExecutor, trick: str) -> None:
        end = await executor.wait(await begin(executor, attempt_order(trick)))
        assert (end.exit_code, end.result) == (0, None)
        assert end.result_error

    async def test_what_it_used_is_reported(self, executor: LocalExecutor) -> None:
        script = "import time; x = 'x' * (80 << 20)\nwhile time.process_time() < .3: pass"
        end = await executor.wait(await begin(executor, attempt_order(script, type=JobType.PYTHON)))
        assert end.cpu_seconds is not None
        assert end.peak_memory_bytes is not None
        assert 0.3 <= end.cpu_seconds < 2
        assert 80 << 20 <= end.peak_memory_bytes < 200 << 20


class TestWhatOutlivesWhom:
    async def test_scripts_outlive_the_launcher_and_others_start_after_it(self, executor: LocalExecutor) -> None:
        ref = await begin(executor, attempt_order("sleep .5; echo alive; exit 5"))
        assert executor._link is not None
        executor._link.process.kill()
        other = await begin(executor, attempt_order("exit 6"))
        assert [(await executor.wait(r)).exit_code for r in (ref, other)] == [5, 6]
        assert await lines_of(executor, ref) == ["alive"]

    async def test_a_burst_is_started_once_each_though_launchers_are_killed(self, executor: LocalExecutor) -> None:
        orders = [attempt_order("echo run") for _ in range(60)]
        for order in orders:
            await executor.prepare(order)
        starts = [asyncio.create_task(executor.start(order)) for order in orders]
        for _ in range(2):
            await asyncio.sleep(0.03)
            assert executor._link is not None
            if executor._link.process.returncode is None:
                executor._link.process.kill()
        await asyncio.gather(*starts)
        for order in orders:
            assert (await executor.wait(order.ref)).exit_code == 0
            assert await lines_of(executor, order.ref) == ["run"]

    async def test_a_shim_that_vanishes_is_a_lost_attempt_and_takes_its_script_along(
        self, executor: LocalExecutor, runs: Path
    ) -> None:
        script = "(setsid sleep 60 & echo $!); (env -i sleep 60 & echo $!); echo $$; sleep 60"
        ref = await begin(executor, attempt_order(script))
        pids = [int(line) for line in await until_lines(executor, ref, 3)]
        os.kill(_shim_of(runs, ref), signal.SIGKILL)
        end = await executor.wait(ref)
        assert (end.cause, end.exit_code) == (EndCause.LOST, None)
        assert end.started_at is not None
        assert await executor.wait(ref) == end
        assert await executor.standing(ref) is Standing.ENDED
        await _until_gone(pids)

    async def test_another_process_with_the_shims_number_is_not_taken_for_it(
        self, executor: LocalExecutor, runs: Path
    ) -> None:
        ref = await begin(executor, attempt_order("sleep 60"))
        shim = _shim_of(runs, ref)
        started = runs / str(ref.execution_id) / "1" / "started"
        known = json.loads(started.read_text())
        started.write_text(json.dumps(known | {"pid": os.getpid()}))
        await executor.stop(ref, EndCause.CANCELLED)
        assert (await executor.wait(ref)).cause is EndCause.LOST
        await _until_gone([shim])

    async def test_sigterm_from_elsewhere_is_the_scripts_own_end(self, executor: LocalExecutor, runs: Path) -> None:
        ref = await begin(executor, attempt_order("sleep 60"))
        os.kill(_shim_of(runs, ref), signal.SIGTERM)
        end = await executor.wait(ref)
        assert (end.cause, end.signal) == (EndCause.SIGNALLED, signal.SIGTERM)

    async def test_a_stop_that_comes_before_the_start_is_obeyed(self, executor: LocalExecutor) -> None:
        order = attempt_order("sleep 60")
        await executor.prepare(order)
        await executor.stop(order.ref, EndCause.CANCELLED)
        await executor.start(order)
        assert (await executor.wait(order.ref)).cause is EndCause.CANCELLED


_WORKER = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from tests.attempts import attempt_order
from work_pools.executors.local.executor import LocalExecutor
from work_pools.executors.local.isolation import Isolation
from work_pools.executors.protocol import AttemptRef

async def work(runs, count, script):
    executor = LocalExecutor(Path(runs), Isolation.off())
    await executor.open()
    orders = [attempt_order(script, ref=AttemptRef(UUID(int=n), 1)) for n in range(int(count))]
    for order in orders:
        await executor.prepare(order)
    print("prepared", flush=True)
    await asyncio.gather(*(executor.start(order) for order in orders))
    print("started", flush=True)
    await asyncio.sleep(60)

asyncio.run(work(*sys.argv[1:]))
"""


async def _worker(runs: Path, count: int, script: str, until: bytes) -> asyncio.subprocess.Process:
    """A worker in a process of its own that has come as far as ``until``."""
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WORKER, str(runs), str(count), script), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    while (await worker.stdout.readline()).strip() != until:
        assert worker.returncode is None
    return worker


class TestAnAttemptThatIsOver:
    async def test_it_is_forgotten_but_for_a_mark_that_it_was_started(
        self, executor: LocalExecutor, runs: Path
    ) -> None:
        ref = await begin(executor, attempt_order("echo x > file; ln -s / link; mkdir -p a/b; chmod 0 a/b a"))
        await executor.wait(ref)
        await executor.discard(ref)
        left = (runs / str(ref.execution_id) / "1").iterdir()
        assert {path.name: path.stat().st_size for path in left} == {"started": 0, "discarded": 0}
        with pytest.raises(AlreadyStarted):
            await begin(executor, attempt_order("echo again", ref=ref))
        assert (await executor.wait(ref)).cause is EndCause.LOST

    async def test_what_nobody_knows_is_lost(self, executor: LocalExecutor) -> None:
        end = await executor.wait(AttemptRef(UUID(int=1), 1))
        assert (end.cause, end.error) == (EndCause.LOST, "Nothing is kept of this attempt.")


class TestAWorkerThatIsKilled:
    async def test_its_scripts_run_on_with_output_and_end_for_the_next(
        self, executor: LocalExecutor, runs: Path
    ) -> None:
        worker = await _worker(runs, 20, "echo before; sleep 1; echo after; exit 3", b"started")
        worker.kill()
        await worker.communicate()
        refs = [AttemptRef(execution, 1) for execution in _executions(runs)]
        assert len(refs) == 20
        assert {await executor.standing(ref) for ref in refs} == {Standing.RUNNING}
        ends = await asyncio.gather(*(executor.wait(ref) for ref in refs))
        assert {(end.cause, end.exit_code) for end in ends} == {(EndCause.EXITED, 3)}
        assert [await lines_of(executor, ref) for ref in refs] == [["before", "after"]] * 20

    @pytest.mark.parametrize("milliseconds", [0, 20, 60, 120])
    async def test_in_the_middle_of_a_burst_each_attempt_starts_once(
        self, executor: LocalExecutor, runs: Path, tmp_path: Path, milliseconds: int
    ) -> None:
        tally = tmp_path / "tally"
        script = f"echo $(basename $(dirname $(dirname $PWD))) >> {tally}"
        worker = await _worker(runs, 50, script, b"prepared")
        await asyncio.sleep(milliseconds / 1000)
        worker.kill()
        # No wait for the worker or its launcher to be gone: orders may still be on their way.
        refs = [AttemptRef(execution, 1) for execution in _executions(runs)]
        for ref in refs:
            if await executor.standing(ref) is Standing.NEVER_STARTED:
                await begin(executor, attempt_order(script, ref=ref))
        await asyncio.gather(*(executor.wait(ref) for ref in refs))
        await worker.communicate()
        assert sorted(tally.read_text().split()) == sorted(str(ref.execution_id) for ref in refs)

    async def test_its_launcher_ends_with_it(self, runs: Path) -> None:
        worker = await _worker(runs, 1, "sleep 2", b"started")
        children = _children(worker.pid)
        worker.kill()
        await worker.communicate()
        assert len(children) == 1
        await _until_gone(children)


def _executions(runs: Path) -> list[UUID]:
    return [UUID(path.name) for path in runs.iterdir()]


def _resident_kilobytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


@pytest.mark.parametrize("isolation", [Isolation.off(), None], ids=["isolation off", "isolated"])
async def test_the_more_scripts_run_the_less_of_the_machine_a_new_one_may_claim(
    runs: Path, isolation: Isolation | None
) -> None:
    """A worker beside 200 busy scripts must have more than a 201st of the machine."""
    executor = LocalExecutor(runs, isolation)
    await executor.open()
    told = "until [ $(nice) != 0 ]; do sleep 0.02; done; nice; cat /proc/self/autogroup || true"
    first = await begin(executor, attempt_order(f"nice; sleep 60; {told}"))
    waiting = [asyncio.create_task(executor.wait(first)) for _ in range(9)]
    await until_lines(executor, first, 1)
    tenth = await begin(executor, attempt_order(told))
    await executor.wait(tenth)
    niceness, *autogroup = await lines_of(executor, tenth)
    assert niceness == "10"
    assert all(line.endswith(" nice 10") for line in autogroup if line.startswith("/autogroup"))
    assert await lines_of(executor, first) == ["0"]
    await executor.stop(first, EndCause.CANCELLED)
    await asyncio.gather(*waiting)
    await executor.close()
