"""The protocol by which an attempt starts at most once."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from work_pools.executors.local.discarding import discard, forget_discarded
from work_pools.executors.local.run_directory import RunDirectory


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "execution" / "1"))


def _prepared(directory: RunDirectory) -> str:
    claim = str(uuid4())
    assert directory.prepare(claim, "script.sh", b"true")
    return claim


def test_a_prepared_claim_is_taken_once(directory: RunDirectory) -> None:
    claim = _prepared(directory)
    assert directory.take(claim, {"pid": 1})
    assert not directory.take(claim, {"pid": 2})
    assert directory.read_document("started") == {"pid": 1}


def test_of_two_claims_one_is_taken(directory: RunDirectory) -> None:
    first, second = _prepared(directory), _prepared(directory)
    assert [directory.take(second, {}), directory.take(first, {})] == [True, False]


def test_a_seal_voids_every_claim_so_far_even_when_it_is_prepared_again(directory: RunDirectory) -> None:
    claims = [_prepared(directory), _prepared(directory)]
    assert directory.seal()
    assert not any(directory.take(claim, {}) for claim in claims)
    assert not any(directory.prepare(claim, "script.sh", b"") for claim in claims)
    assert directory.take(_prepared(directory), {})


def test_a_seal_after_the_start_says_so(directory: RunDirectory) -> None:
    directory.take(_prepared(directory), {})
    assert not directory.seal()


def test_a_token_sealed_while_it_is_being_taken_is_not_taken(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = _prepared(directory)
    link = os.link

    def seal_first(source: str, target: str) -> None:
        assert directory.seal()
        link(source, target)

    monkeypatch.setattr(os, "link", seal_first)
    assert not directory.take(claim, {})
    assert not os.path.exists(directory.started)


def test_a_claim_that_is_prepared_late_takes_nothing_from_the_one_that_runs(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = _prepared(directory), str(uuid4())
    write = directory.write

    def start_first(name: str, content: bytes) -> None:
        directory.take(first, {})
        Path(directory.log).write_bytes(b"line")
        directory.overwrite("session", b"[1]")
        write(name, content)

    monkeypatch.setattr(directory, "write", start_first)
    directory.prepare(late, "script.sh", b"another")
    assert Path(directory.code(first), "script.sh").read_bytes() == b"true"
    assert Path(directory.log).read_bytes() == b"line"
    assert Path(directory.at("session")).read_bytes() == b"[1]"
    assert not directory.take(late, {})


def test_the_folders_are_for_their_owner_alone(directory: RunDirectory) -> None:
    _prepared(directory)
    for path in (os.path.dirname(directory.path), directory.path, directory.work, directory.at("code")):
        assert os.stat(path).st_mode & 0o777 == 0o700


def test_an_end_fits_on_a_full_disk_without_its_result(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prepared(directory)
    spare = os.stat(directory.at("spare")).st_ino

    def full(name: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(directory, "write", full)
    directory.record_end({"cause": "exited", "exit_code": 3, "error": "e" * 5000, "result": [1] * 2000})
    record = directory.read_document("exit")
    assert record == {
        "cause": "exited",
        "exit_code": 3,
        "error": "e" * 1000,
        "result": None,
        "result_error": "The result could not be kept: No space left on device",
    }
    assert os.stat(directory.at("exit")).st_ino == spare


@pytest.mark.parametrize("torn", [b"", b"\0\0\0", b'{"pid": 1'])
def test_a_file_torn_by_a_power_cut_is_known_to_be_empty(directory: RunDirectory, torn: bytes) -> None:
    directory.take(_prepared(directory), {})
    Path(directory.started).write_bytes(torn)
    assert directory.read_document("started") == {}


def test_a_discarded_attempt_cannot_start_again(directory: RunDirectory) -> None:
    directory.take(_prepared(directory), {})
    directory.record_end({"cause": "exited"})
    discard(directory)
    assert directory.is_discarded()
    claim = _prepared(directory)
    assert not directory.take(claim, {})
    assert not directory.seal()


def test_a_discarded_attempt_is_forgotten_in_time(directory: RunDirectory, tmp_path: Path) -> None:
    directory.take(_prepared(directory), {})
    forget_discarded(tmp_path, age_seconds=-1)
    assert directory.exists()
    discard(directory)
    forget_discarded(tmp_path, age_seconds=60)
    assert directory.exists()
    forget_discarded(tmp_path, age_seconds=-1)
    assert os.listdir(tmp_path) == []


def test_an_attempt_that_never_started_is_discarded_without_a_trace(directory: RunDirectory) -> None:
    _prepared(directory)
    discard(directory)
    assert not directory.exists()
    discard(directory)


def test_takers_and_sealers_at_once_agree_on_one_outcome(tmp_path: Path) -> None:
    for round_number in range(50):
        directory = RunDirectory(str(tmp_path / str(round_number)))
        claims = [_prepared(directory) for _ in range(3)]
        takes = [partial(directory.take, claim, {}) for claim in claims * 2]
        outcomes = _at_once([*takes, directory.seal, directory.seal])
        taken, sealed = outcomes[: len(takes)], outcomes[len(takes) :]
        assert sum(taken) <= 1
        assert set(sealed) == {not any(taken)}


def _at_once(steps: list[Callable[[], bool]]) -> list[bool]:
    gate = threading.Barrier(len(steps))

    def step_through(step: Callable[[], bool]) -> bool:
        gate.wait()
        return step()

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(step_through, steps))
