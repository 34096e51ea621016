"""The file tree that all scripts of a launcher share, while the machine's own goes on changing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.attempts import attempt_order, begin, lines_of
from work_pools.executors.local.executor import LocalExecutor, default_isolation
from work_pools.executors.local.isolation import NAMESPACES


@pytest.fixture
def machine() -> Iterator[Path]:
    """A folder of the machine's with a file that scripts see and one that they do not; not below their own /tmp."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    (folder / "names").write_text("first\n")
    (folder / "private").write_text("private\n")
    (folder / "shared").mkdir(mode=0o777)
    (folder / "shared").chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def executor(tmp_path: Path, machine: Path) -> AsyncIterator[LocalExecutor]:
    isolation = default_isolation(tmp_path / "runs")
    executor = LocalExecutor(
        tmp_path / "runs",
        isolation._replace(
            levels=(NAMESPACES,),
            readable=(*isolation.readable, str(machine / "names")),
            writable=(str(machine / "shared"),),
        ),
    )
    try:
        await executor.open()
        yield executor
    finally:
        await executor.close()


async def _said(executor: LocalExecutor, script: str) -> list[str]:
    ref = await begin(executor, attempt_order(script))
    await executor.wait(ref)
    return await lines_of(executor, ref)


async def test_a_file_that_is_replaced_is_seen_as_it_is_now(executor: LocalExecutor, machine: Path) -> None:
    assert await _said(executor, f"cat {machine}/names") == ["first"]
    (machine / "names.new").write_text("second\n")
    (machine / "names.new").rename(machine / "names")
    assert await _said(executor, f"cat {machine}/names") == ["second"]


async def test_a_file_that_is_gone_stops_no_script(executor: LocalExecutor, machine: Path) -> None:
    (machine / "names").unlink()
    assert await _said(executor, f"cat {machine}/names 2>/dev/null; echo on") == ["on"]


async def test_nothing_beside_the_file_is_seen(executor: LocalExecutor, machine: Path) -> None:
    seen = await _said(executor, f"ls {machine}; cat {machine}/private /.outside/*/private 2>/dev/null; true")
    assert set(seen) == {"names", "shared"}


async def test_the_file_cannot_be_written(executor: LocalExecutor, machine: Path) -> None:
    machine.joinpath("names").chmod(0o666)
    await _said(executor, f"echo forged > {machine}/names")
    assert machine.joinpath("names").read_text() == "first\n"


async def test_a_folder_that_scripts_may_write_to_keeps_what_they_wrote(executor: LocalExecutor, machine: Path) -> None:
    assert await _said(executor, f"echo kept > {machine}/shared/file; echo gone > /tmp/file; ls /tmp/file") == [
        "/tmp/file"  # noqa: S108 - the script's own
    ]
    assert (machine / "shared" / "file").read_text() == "kept\n"
    assert await _said(executor, "ls /tmp/file 2>/dev/null; true") == []
