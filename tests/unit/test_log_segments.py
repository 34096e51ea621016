"""Of a long log the beginning and the end stay on the disk, and every reader learns what it missed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from platform_api.domain.log_frames import LogFrame, decode, encode
from platform_api.domain.log_limits import Count, LogLimits, cut_message
from work_pools.executors.local.capture import LogFile
from work_pools.executors.local.log_segments import Found, read

LIMITS = LogLimits(head_bytes=1000, tail_bytes=200)
#: Ten bytes of the script's each.
FRAME = encode(LogFrame(1, "stdout", b"123456789"))


class Log:
    """A log in the making, a line of ten bytes at a time."""

    def __init__(self, folder: Path) -> None:
        self.path, self.ring, self.lines = str(folder / "log"), str(folder / "ring"), 0
        self.file = LogFile(self.path, self.ring, LIMITS)

    def write(self, lines: int) -> None:
        for number in range(self.lines + 1, self.lines + lines + 1):
            self.file.append(encode(LogFrame(1, "stdout", b"%09d" % number)), 1, 10)
        self.lines += lines

    def read(self, offset: int, size: int = 1 << 20) -> Found:
        return read(self.path, self.ring, offset, size)

    def numbers(self, offset: int = 0) -> list[int]:
        """All that a reader from ``offset`` on finds."""
        numbers: list[int] = []
        while (found := self.read(offset)).frames:
            numbers += [int(frame.data) for frame, _ in decode(found.frames)]
            offset = found.offset + len(found.frames)
        return numbers

    def files(self) -> int:
        return len(os.listdir(self.ring))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_a_log_within_its_limits_is_whole(log: Log) -> None:
    log.write(120)
    assert log.numbers() == list(range(1, 121))


def test_a_short_log_is_one_file(log: Log) -> None:
    log.write(100)
    assert not os.path.exists(log.ring)


def test_of_a_long_log_the_head_and_the_tail_are_kept(log: Log) -> None:
    log.write(5000)
    numbers = log.numbers()
    assert numbers[:100] == list(range(1, 101))
    tail = numbers[100:]
    assert tail == list(range(tail[0], 5001))
    assert 20 <= len(tail) <= 24


def test_the_disk_is_bounded_however_much_is_written(log: Log) -> None:
    for _ in range(20):
        log.write(500)
        assert log.files() <= 12


def test_who_asks_for_what_was_dropped_is_told_how_much_lies_before(log: Log) -> None:
    log.write(5000)
    found = log.read(100 * len(FRAME))
    first, _ = next(decode(found.frames))
    assert found.offset == (int(first.data) - 1) * len(FRAME)
    assert found.before == Count(int(first.data) - 1, 10 * (int(first.data) - 1))


def test_a_reader_in_a_segment_that_is_dropped_goes_on_behind_it(log: Log) -> None:
    log.write(150)
    offset = 130 * len(FRAME)
    assert log.read(offset, len(FRAME)) == Found(offset, encode(LogFrame(1, "stdout", b"000000131")))
    log.write(1000)
    found = log.read(offset)
    assert found.before is not None
    assert found.offset > offset
    assert log.numbers(offset)[-1] == 1150


def test_a_reader_that_keeps_up_misses_nothing(log: Log) -> None:
    seen: list[int] = []
    for _ in range(300):
        log.write(7)
        seen += log.numbers(len(seen) * len(FRAME))
    assert seen == list(range(1, 2101))


def test_there_is_nothing_new_at_the_end(log: Log) -> None:
    for lines in (0, 100, 1, 400):
        log.write(lines)
        end = log.lines * len(FRAME)
        assert log.read(end) == Found(end, b"")


def test_there_is_nothing_of_a_log_that_was_discarded(tmp_path: Path) -> None:
    assert read(str(tmp_path / "log"), str(tmp_path / "ring"), 500, 10) == Found(500, b"")


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (Count(1, 7), "[... 1 line (7 bytes) cut here: a log keeps its first 40 MB and its last 10 MB ...]"),
        (
            Count(12_345, 1_000_000),
            "[... 12,345 lines (1,000,000 bytes) cut here: a log keeps its first 40 MB and its last 10 MB ...]",
        ),
    ],
)
def test_the_cut_in_words(cut: Count, message: str) -> None:
    assert cut_message(cut, LogLimits()) == message
