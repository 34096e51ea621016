"""How many cores a script's processes have together: by a control group where the worker has one to divide."""

# ruff: noqa: ASYNC240 - a look at a local file is no wait worth a thread

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attempts import attempt_order, begin
from work_pools.executors.local import cgroups
from work_pools.executors.local.executor import LocalExecutor
from work_pools.executors.protocol import AttemptEnd

BUSY = "import os, time\nend = time.time() + 2\nwhile time.time() < end: pass"
#: What a script may take before it is looked at, and while its processes are being gathered.
HEAD_START = 0.8


@pytest.fixture(scope="module")
def folder() -> Path:
    found, fault = cgroups.settle()
    if fault:
        pytest.skip(fault)
    return Path(found)


@pytest.fixture(scope="module")
async def executor(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(tmp_path_factory.mktemp("cores") / "runs")
    await executor.open()
    yield executor
    await executor.close()


async def _end(executor: LocalExecutor, script: str, cores: float | None) -> AttemptEnd:
    order = replace(attempt_order(script), cpu_cores=cores)
    return await executor.wait(await begin(executor, order))


def _python(script: str) -> str:
    return f"python3 - <<'END'\n{script}\nEND"


@pytest.mark.parametrize(
    "script",
    [
        _python(BUSY),
        _python(f"import os\nfor _ in range(3): os.fork()\n{BUSY}"),
        _python(f"import os\nfor _ in range(3):\n  if os.fork() == 0: os.setsid(); break\n{BUSY}"),
        "(setsid sh -c 'while :; do :; done' &) ; while :; do /bin/true; done & sleep 2",
    ],
    ids=["one process", "eight", "in sessions of their own", "new ones all the time"],
)
async def test_what_computes_gets_what_its_job_may_have(executor: LocalExecutor, script: str) -> None:
    end = await _end(executor, script, 0.2)
    assert end.started_at is not None
    assert end.cpu_seconds is not None
    seconds = (end.ended_at - end.started_at).total_seconds()
    assert end.cpu_seconds < HEAD_START + 0.2 * 1.5 * seconds


async def test_what_has_no_limit_gets_no_group(executor: LocalExecutor, folder: Path) -> None:
    before = set(folder.glob("run-*"))
    end = await _end(executor, _python(BUSY), None)
    assert end.exit_code == 0
    assert set(folder.glob("run-*")) <= before


async def test_a_group_comes_and_goes_with_a_script_that_computes(executor: LocalExecutor, folder: Path) -> None:
    before, seen = set(folder.glob("run-*")), set[Path]()
    running = asyncio.create_task(_end(executor, _python(BUSY), 0.5))
    while not running.done():
        await asyncio.wait([running], timeout=0.05)
        seen |= {group for group in folder.glob("run-*") if group not in before}
    assert len(seen) >= 1
    assert not any(group.exists() for group in seen)


async def test_what_waits_gets_none(executor: LocalExecutor, folder: Path) -> None:
    before = set(folder.glob("run-*"))
    running = asyncio.create_task(_end(executor, "sleep 1", 0.5))
    while not running.done():
        await asyncio.wait([running], timeout=0.1)
        assert set(folder.glob("run-*")) <= before


async def test_what_a_killed_shim_left_goes_with_the_next_worker(folder: Path) -> None:
    (folder / "run-left").mkdir()
    cgroups.settle()
    assert not (folder / "run-left").exists()


def _machine(tmp_path: Path, groups: str, mounts: str) -> str:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    (tmp_path / "proc/self/mountinfo").write_text(mounts)
    return f"{tmp_path}/"


def _mount(path: Path, kind: str, options: str) -> str:
    return f"31 24 0:27 / {path} rw,relatime shared:9 - {kind} {kind} rw,{options}\n"


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user's own group is its own to divide")
@pytest.mark.parametrize(
    ("groups", "kind", "options"),
    [
        ("4:memory:/\n3:cpu,cpuacct:/system.slice/unit.service\n0::/unit\n", "cgroup", "cpu,cpuacct"),
        ("0::/system.slice/unit.service\n", "cgroup2", "nsdelegate"),
    ],
)
def test_a_group_of_somebody_elses_is_left_alone(tmp_path: Path, groups: str, kind: str, options: str) -> None:
    unit = tmp_path / "sys/system.slice/unit.service"
    unit.mkdir(parents=True)
    root = _machine(tmp_path, groups, _mount(tmp_path / "sys", kind, options))
    assert cgroups.settle(root) == ("", "the worker's control group is not its own to divide")
    assert list(unit.iterdir()) == []


def test_a_machine_without_groups_says_so(tmp_path: Path) -> None:
    assert cgroups.settle(f"{tmp_path}/") == ("", "no control group for cpu")


@pytest.mark.parametrize(("file", "content"), [("cpu.max", "50000 100000"), ("cpu.cfs_quota_us", "50000")])
def test_both_versions_are_told_in_their_own_words(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / "run-7").mkdir()
    (tmp_path / "run-7" / file).write_text("")
    folder = os.open(tmp_path, os.O_RDONLY)
    cgroups.Group.make(folder, 7, 0.5)
    os.close(folder)
    assert (tmp_path / "run-7" / file).read_text() == content
