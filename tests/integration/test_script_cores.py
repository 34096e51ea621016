"""How many cores a script's processes have together: by a control group where the worker has one to divide."""

from __future__ import annotations

import asyncio
import json
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
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cores") / "runs"


@pytest.fixture(scope="module")
async def executor(folder: Path, runs: Path) -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(runs)
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
        _python(f"import os\nfor _ in range(3):\n  if os.fork() == 0: os.setsid(); break\n{BUSY}"),
        "(setsid sh -c 'while :; do :; done' &) ; while :; do /bin/true; done & sleep 2",
    ],
    ids=["one process", "in sessions of their own", "new ones all the time"],
)
async def test_what_computes_gets_what_its_job_may_have(executor: LocalExecutor, script: str) -> None:
    end = await _end(executor, script, 0.2)
    assert end.started_at is not None
    assert end.cpu_seconds is not None
    seconds = (end.ended_at - end.started_at).total_seconds()
    assert end.cpu_seconds < HEAD_START + 0.2 * 1.5 * seconds


@pytest.mark.parametrize(
    ("script", "cores", "gets_one"),
    [(_python(BUSY), 0.5, True), (_python(BUSY), None, False), ("sleep 1", 0.5, False), ("true", 0.5, False)],
    ids=["computes", "without a limit", "waits", "ends at once"],
)
async def test_a_group_comes_and_goes_with_a_script_that_computes(
    executor: LocalExecutor, runs: Path, folder: Path, script: str, cores: float | None, gets_one: bool
) -> None:
    order = replace(attempt_order(script), cpu_cores=cores)
    ref = await begin(executor, order)
    shim = json.loads((runs / str(ref.execution_id) / str(ref.attempt) / "started").read_text())["pid"]
    running, seen = asyncio.ensure_future(executor.wait(ref)), False
    while not running.done():
        await asyncio.wait([running], timeout=0.05)
        seen = seen or (folder / f"run-{shim}").exists()
    assert seen == gets_one
    assert not (folder / f"run-{shim}").exists()


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
