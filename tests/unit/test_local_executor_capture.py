"""Whatever a script writes comes out of its log byte for byte."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_api.domain.log_frames import LONGEST_PIECE, LogFrame, decode
from tests.attempts import as_written
from work_pools.executors.local.capture import LogFile, Stream

#: Much of what breaks a splitter: line feeds, NUL, half of a UTF-8 character.
_PIECES = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"\n", b"\n\n", b"\0", b"\xc3", b"\r\n"])))


def _capture(pieces: list[bytes], stream: str = "stdout") -> list[LogFrame]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/log"
        reading, writing = os.pipe()
        captured = Stream(stream, reading, LogFile(path, f"{folder}/ring"))
        for piece in pieces:
            os.write(writing, piece)
            captured.read()
        os.close(writing)
        while not captured.closed:
            captured.read()
        captured.finish()
        os.close(reading)
        return [frame for frame, _ in decode(Path(path).read_bytes())]


@given(_PIECES)
def test_arbitrary_bytes_in_arbitrary_pieces_come_out_as_they_went_in(pieces: list[bytes]) -> None:
    assert as_written(_capture(pieces), "stdout") == b"".join(pieces)


@given(st.integers(1, 4), st.integers(-2, 2), st.booleans())
def test_a_line_around_the_longest_piece_is_cut_nowhere_else(pieces: int, beyond: int, ended: bool) -> None:
    line = os.urandom(1) * (pieces * LONGEST_PIECE + beyond)
    line = line.replace(b"\n", b"x") + (b"\n" if ended else b"")
    parts = [line[at : at + 60_000] for at in range(0, len(line), 60_000)]
    frames = _capture(parts, "stderr")
    assert as_written(frames, "stderr") == line
    assert all(0 < len(frame.data) <= LONGEST_PIECE for frame in frames)
    assert [frame.partial for frame in frames] == [True] * (len(frames) - 1) + [not ended]


def test_a_line_is_logged_when_it_is_complete_and_not_before() -> None:
    assert [frame.data for frame in _capture([b"one\ntw", b"o\n"])] == [b"one", b"two"]


@pytest.fixture
def file_size_limit() -> Iterator[int]:
    """No file grows beyond this: fails half-way through a write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield 100
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_costs_the_rest_of_the_log_and_leaves_whole_frames(
    tmp_path: Path, file_size_limit: int
) -> None:
    log = LogFile(str(tmp_path / "log"), str(tmp_path / "ring"))
    log.append(b"a" * 60, 1, 60)
    log.append(b"b" * 60, 1, 60)
    log.append(b"c" * 30, 1, 30)
    assert (tmp_path / "log").read_bytes() == b"a" * 60
    assert log.error is not None
    assert log.error.startswith("The log could not be written beyond 60 bytes: ")
