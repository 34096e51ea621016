"""Keeping processes running, with real small ones."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from platform_api.embedded import child as child_module
from platform_api.embedded.child import Child, ChildPlan, bound, how_it_ended
from platform_api.embedded.home import Home
from platform_api.embedded.processes import Identity
from platform_api.embedded.progress import Progress
from platform_api.embedded.readiness import StartFailed, until_ready
from platform_api.embedded.supervisor import Supervisor, delay_before_restart
from platform_api.ports.supervision import ChildReport, FileSupervision

FOREVER = "import time; print('up', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"
GATED = "from platform_api.embedded.gate import wait_at_gate; wait_at_gate(); print('passed', flush=True); " + FOREVER


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def plan(home: Home, code: str, name: str = "worker", gated: bool = False, stop_seconds: float = 5) -> ChildPlan:
    command = (sys.executable, "-c", code)
    return ChildPlan(name, command, dict(os.environ), home.logs / f"{name}.log", stop_seconds, gated=gated)


@asynccontextmanager
async def supervising(home: Home) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(home, Progress())
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def reported(home: Home, name: str = "worker") -> ChildReport:
    report = FileSupervision(home.children).report()
    assert report is not None
    return next(child for child in report.children if child.name == name)


async def eventually(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def test_the_pause_before_a_restart_doubles_up_to_half_a_minute() -> None:
    pauses = [delay_before_restart(deaths) for deaths in range(1, 10)]
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert all(a <= b for a, b in itertools.pairwise(pauses))
    assert pauses[-1] == 30


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-15, "killed by SIGTERM"),
        (-63, "killed by signal 63"),
    ],
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert how_it_ended(code) == words


async def test_a_child_that_is_killed_is_started_again_and_the_report_says_so(home: Home) -> None:
    async with supervising(home) as supervisor:
        child = await supervisor.add(plan(home, FOREVER))
        first = child.identity
        assert first is not None
        assert reported(home).pid == first.pid
        assert reported(home).restarts == 0
        first.signal(signal.SIGKILL)
        await eventually(lambda: reported(home).status == "waiting")
        assert reported(home).pid is None
        await eventually(lambda: reported(home).restarts == 1 and reported(home).status == "running")
        assert reported(home).last_end == "killed by SIGKILL"
        assert child.identity != first
    assert reported(home).status == "stopped"


async def test_a_child_that_keeps_dying_is_given_up_during_a_start_with_its_last_words(home: Home) -> None:
    async with supervising(home) as supervisor:
        child = await supervisor.add(plan(home, "import sys; sys.exit('the disk is full')"))
        with pytest.raises(StartFailed, match=r"worker did not start(.|\n)*the disk is full"):
            await until_ready(child, lambda: False, 30, Progress(), supervisor.hopeless)


async def test_children_stop_in_order_and_a_deaf_one_is_killed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(home, Progress())
    postgres = await supervisor.add(plan(home, FOREVER, "postgres"))
    api = await supervisor.add(plan(home, DEAF, "api", stop_seconds=0.3))
    for child in (postgres, api):
        await eventually(lambda child=child: child.last_words() == "up")
    await supervisor.stop()
    said = capsys.readouterr().out
    assert said.index("api ... stopped") < said.index("postgres ... stopping")
    assert not any(child.identity is not None and child.identity.is_alive() for child in (postgres, api))


async def test_a_stop_during_the_pause_before_a_restart_starts_nothing(home: Home) -> None:
    supervisor = Supervisor(home, Progress())
    child = await supervisor.add(plan(home, "raise SystemExit(1)"))
    await eventually(lambda: reported(home).status == "waiting")
    await asyncio.wait_for(supervisor.stop(), 5)
    assert not child.is_running
    assert reported(home).status == "stopped"


async def test_a_gated_child_waits_and_passes_at_once_when_it_is_started_again(home: Home) -> None:
    async with supervising(home) as supervisor:
        child = await supervisor.add(plan(home, GATED, gated=True))
        await asyncio.sleep(0.3)
        assert "passed" not in child.plan.log.read_text()
        child.open_gate()
        await eventually(lambda: "passed" in child.plan.log.read_text())
        assert child.identity is not None
        child.identity.signal(signal.SIGKILL)
        await eventually(lambda: child.plan.log.read_text().count("passed") == 2)


async def test_what_a_killed_supervisor_left_is_ended_by_the_next_one_and_strangers_are_not(home: Home) -> None:
    left = Child(plan(home, FOREVER))
    await left.start()
    first = Supervisor(home, Progress())
    kept = await first.add(plan(home, FOREVER))
    assert left.identity is not None
    assert kept.identity is not None
    for task in asyncio.all_tasks():
        if task.get_name() in {"keep worker", "bound logs"}:
            task.cancel()
    second = Supervisor(home, Progress())
    await second.end_leftovers(grace_seconds=0.1)
    assert not kept.identity.is_alive()
    assert left.identity.is_alive()
    await left.stop()


def test_a_log_is_bounded_in_place_and_its_newest_part_is_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "LOG_BYTES", 10)
    log = home.logs / "api.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old words, new words")
        bound(log)
        writer.write(b"later")
        bound(log)
    assert log.read_bytes() == b"later"
    assert (home.logs / "api.log.1").read_bytes() == b" new words"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"phase": "serving"}', '{"phase": 1, "pid": 2, "children": [{}]}'])
def test_a_report_that_cannot_be_read_is_no_report(home: Home, content: str) -> None:
    home.children.write_text(content)
    assert FileSupervision(home.children).report() is None


def test_an_identity_of_a_process_that_never_was() -> None:
    assert Identity.of(2**22 + 1) is None
