"""A process that hides its memory, and another of the same user's that would like to read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.suspects import ORDINARY_USER

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become two processes of another user's")

_PACKAGE_ROOT = str(Path(__file__).parents[2])
_SCRIPT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from work_pools.executors.local import processes
os.setgroups([]); os.setresgid({user}, {user}, {user}); os.setresuid({user}, {user}, {user})
# A change of users hides a process by itself; a worker of an ordinary user's has always been that user.
processes.show_memory()
if sys.argv[2] == "hidden":
    processes.hide_memory()
victim = os.getpid()
spy = os.fork()
if spy == 0:
    processes.show_memory()
    for name in ("environ", "mem", "maps", "fd/0", "root/."):
        try:
            path = f"/proc/{{victim}}/{{name}}"
            os.listdir(path) if name == "root/." else open(path, "rb")
            print(name)
        except OSError:
            pass
    sys.stdout.flush()
    os._exit(0)
os.waitpid(spy, 0)
"""


def _spoils(hidden: str) -> list[str]:
    command = [sys.executable, "-c", _SCRIPT.format(user=ORDINARY_USER), _PACKAGE_ROOT, hidden]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_another_process_of_the_user_reads_nothing() -> None:
    assert _spoils("hidden") == []


def test_it_would_read_everything_otherwise() -> None:
    assert set(_spoils("open")) >= {"environ", "mem", "maps", "root/."}
