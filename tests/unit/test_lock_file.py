"""A worker's sign of life in the home that workers share."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from work_pools.lock_file import LockFiles


def test_a_lock_is_left_behind_once_its_worker_is_gone_and_until_it_is_removed(tmp_path: Path) -> None:
    mine, theirs = LockFiles(tmp_path, "local"), LockFiles(tmp_path, "local")
    worker = uuid4()
    theirs.hold(worker)
    assert (mine.left_behind(), mine.is_here(worker)) == ([], True)
    theirs.release()
    assert (mine.left_behind(), mine.is_here(worker)) == ([worker], True)
    mine.remove(worker)
    assert (mine.left_behind(), mine.is_here(worker)) == ([], False)


def test_a_worker_that_is_just_coming_is_never_taken_for_a_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looker, comer = LockFiles(tmp_path, "local"), LockFiles(tmp_path, "local")
    seen = []
    flock: Callable[[int, int], None] = fcntl.flock

    def look_first(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX:
            seen.append(looker.left_behind())
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", look_first)
    comer.hold(uuid4())
    assert seen == [[]]
