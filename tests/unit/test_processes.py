"""Processes that must not outlive their parent, and those that did all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from platform_api.embedded.processes import Identity, end_leftovers

SLEEPER = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]

#: Starts a child that dies with it, tells its number and waits to be killed.
PARENT = f"""
import subprocess, sys, time, signal
from platform_api.embedded.processes import dies_with_parent
child = subprocess.Popen({SLEEPER!r}, preexec_fn=dies_with_parent(signal.SIGKILL), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def started(command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def finish(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    mine = Identity.of(os.getpid())
    assert mine is not None
    assert mine.is_alive()
    assert not Identity(mine.pid, mine.started + 1).is_alive()


def test_a_dead_process_that_nobody_has_reaped_counts_as_dead() -> None:
    process = started(SLEEPER)
    identity = Identity.of(process.pid)
    assert identity is not None
    process.kill()
    assert identity.wait(5)
    assert not identity.is_alive()
    finish(process)


def test_a_stranger_that_got_the_number_later_is_never_signalled() -> None:
    process = started(SLEEPER)
    real = Identity.of(process.pid)
    assert real is not None
    Identity(real.pid, real.started - 1).signal(signal.SIGKILL)
    assert end_leftovers([Identity(real.pid, real.started - 1)], 0) == []
    assert real.is_alive()
    finish(process)


@pytest.mark.parametrize("command", [SLEEPER, DEAF])
def test_a_leftover_is_killed_when_its_time_is_over(command: list[str]) -> None:
    process = started(command)
    identity = Identity.of(process.pid)
    assert identity is not None
    assert end_leftovers([identity], 0.1) == [identity]
    assert not identity.is_alive()
    finish(process)


def test_a_leftover_that_ends_by_itself_is_waited_for() -> None:
    process = started([sys.executable, "-c", "print('up', flush=True); import time; time.sleep(0.3)"])
    identity = Identity.of(process.pid)
    assert identity is not None
    # Killed it would end otherwise.
    assert end_leftovers([identity], 60) == [identity]
    assert process.wait(5) == 0
    finish(process)


def test_the_kernel_ends_a_child_whose_parent_is_killed() -> None:
    parent = started_parent()
    child = Identity.of(int(parent.stdout.readline())) if parent.stdout else None
    assert child is not None
    parent.kill()
    assert child.wait(5)
    finish(parent)


def started_parent() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
