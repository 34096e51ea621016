"""Where a part of a log is lost, no part of a secret is left on either side of the gap, wherever that is cut."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from platform_api.domain.log_frames import LogFrame, decode, encode
from platform_api.domain.log_limits import Count, LogLimits
from platform_api.ports.logs import LogChunk, ResumePoint
from tests.attempts import as_written
from tests.scripted_executor import Machine, ScriptedExecutor
from work_pools.executors.local import capture, log_segments
from work_pools.executors.local.capture import LogFile, Stream
from work_pools.executors.protocol import AttemptRef, Output
from work_pools.log_tail import LogTail, Position
from work_pools.masking import TORN, Masker

SECRET = b"abcdefghijkl-mnop"
MASKED = b"****mnop"
MASKER = Masker([SECRET.decode()])
TURN = 1 << 20


class Dropping(ScriptedExecutor):
    """Has lost what lies between two ends of frames, once a test says so."""

    lost: tuple[int, int] = (0, 0)

    async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
        begin, end = self.lost
        if not begin <= offset < end:
            return await super().read_output(ref, offset, min(size, begin - offset) if offset < begin else size)
        before = [frame for frame, _ in decode(self.machine.attempt(ref).output[:end])]
        unfinished = tuple(s for s in ("stdout", "stderr") if _last(before, s).partial)
        output = await super().read_output(ref, end, size)
        return Output(end, output.frames, _count(before), unfinished) if output.frames else Output(offset, b"")


def _last(frames: Sequence[LogFrame], stream: str) -> LogFrame:
    return next((f for f in reversed(frames) if f.stream == stream), LogFrame(0, stream, b""))


def _count(frames: Sequence[LogFrame]) -> Count:
    return Count(len(frames), sum(len(frame.data) + (not frame.partial) for frame in frames))


class Shipping:
    """A tail and what it has stored."""

    def __init__(self) -> None:
        self.executor = Dropping(Machine())
        self.ref = AttemptRef(uuid4(), 1)
        self.tail = LogTail(self.ref, Position(), MASKER)
        self.chunks: list[LogChunk] = []

    def write(self, frames: Iterable[LogFrame]) -> None:
        for frame in frames:
            self.executor.machine.attempt(self.ref).output += encode(frame)

    async def ship(self, *, last: bool = False) -> None:
        while True:
            self.chunks += await self.tail.read(self.executor, TURN, last=last)
            self.tail.commit()
            if self.tail.exhausted:
                return

    def crash(self) -> None:
        end = self.chunks[-1] if self.chunks else None
        point = ResumePoint(0, 0, None)
        if end:
            point = ResumePoint(end.first_line + end.line_count, end.first_byte + end.byte_count, end.resume)
        self.tail = LogTail(self.ref, Position.resumed(point), MASKER)

    def shown(self, stream: str = "stdout") -> bytes:
        return as_written([frame for chunk in self.chunks for frame, _ in decode(chunk.frames)], stream)


def piece(data: bytes, *, partial: bool = True, stream: str = "stdout") -> LogFrame:
    return LogFrame(1, stream, data, partial)


def letters_left(shown: bytes) -> bytes:
    """Of the secret, beside what masks show."""
    return bytes(byte for byte in shown.replace(MASKED, b"") if byte in SECRET)


def cuts(parts: int) -> Iterator[tuple[bytes, ...]]:
    """The secret cut into so many parts, at every byte."""
    for places in itertools.combinations_with_replacement(range(len(SECRET) + 1), parts - 1):
        yield tuple(SECRET[a:b] for a, b in itertools.pairwise((0, *places, len(SECRET))))


class TestMasker:
    """A stream whose beginning is lost."""

    @pytest.mark.parametrize("end", [b" said", b"abc", SECRET, b""])
    def test_the_rest_of_a_secret_is_masked(self, end: bytes) -> None:
        for begin in range(1, len(SECRET)):
            rest = SECRET[begin:]
            expected = b"****" + (MASKED if end == SECRET else end)
            assert MASKER.feed(TORN, rest + end, final=True)[0] == expected

    def test_what_may_be_the_middle_of_a_secret_waits_until_it_is_decided(self) -> None:
        for _, middle, rest in cuts(3):
            shown, carry = MASKER.feed(TORN, middle)
            assert shown == b""
            assert letters_left(MASKER.feed(carry, rest + b".", final=True)[0]) == b""

    def test_what_is_no_part_of_one_passes(self) -> None:
        for text in (b"zebra", b"xabcdefgh", b"", b"p0 is the p of a secret"[1:]):
            assert MASKER.feed(TORN, text, final=True)[0] == text

    def test_overlapping_secrets_are_masked_as_one(self) -> None:
        masker = Masker(["first-secret", "secret-second"])
        assert masker.feed(TORN, b"t-secret-second!", final=True)[0] == b"****!"


@pytest.mark.parametrize("crash", [False, True], ids=["shipping on", "another worker"])
@pytest.mark.parametrize("between", [[], [piece(b"other", partial=False, stream="stderr")]], ids=["", "stderr between"])
async def test_a_secret_around_a_gap_is_masked_on_both_sides(crash: bool, between: list[LogFrame]) -> None:
    for first, lost, second, third in cuts(4):
        shipping = Shipping()
        shipping.write([piece(b"x" + first), *between])
        begin = len(shipping.executor.machine.attempt(shipping.ref).output)
        await shipping.ship()
        shipping.write([piece(lost)])
        shipping.executor.lost = (begin, len(shipping.executor.machine.attempt(shipping.ref).output))
        shipping.write([piece(second), *between])
        await shipping.ship()
        if crash:
            shipping.crash()
            await shipping.ship()
        shipping.write([piece(third + b"y", partial=False), piece(b"next", partial=False)])
        await shipping.ship(last=True)
        shown = shipping.shown()
        assert letters_left(shown.removesuffix(b"next\n")) == b"", (first, lost, second, third, shown)
        assert shown.startswith(b"x")
        assert shown.endswith(b"y\nnext\n")
        assert shipping.shown("stderr") == b"other\n" * 2 * len(between)


async def test_a_worker_that_finds_dropped_what_the_one_before_held_shows_no_rest_of_it() -> None:
    other = piece(b"other", partial=False, stream="stderr")
    for parts in cuts(3):
        frames = [piece(b"x" + parts[0]), other, piece(parts[1]), other, piece(parts[2] + b"y", partial=False)]
        ends = [0, *itertools.accumulate(len(encode(frame)) for frame in frames)]
        for shipped, dropped in itertools.product(range(1, 5), repeat=2):
            shipping = Shipping()
            shipping.write(frames[:shipped])
            await shipping.ship()
            shipping.crash()
            shipping.write(frames[shipped:])
            shipping.executor.lost = (0, ends[dropped])
            await shipping.ship(last=True)
            assert letters_left(shipping.shown()) == b"", (parts, shipped, dropped, shipping.shown())


async def test_a_script_that_was_killed_in_the_middle_of_a_secret_has_not_said_the_beginning_of_it() -> None:
    for half, _ in cuts(2):
        shipping = Shipping()
        shipping.write([piece(b"x" + half)])
        await shipping.ship()
        shipping.tail.torn = True
        await shipping.ship(last=True)
        assert shipping.shown() == b"x" + (MASKED if half == SECRET else b"****" if half else b"")


async def test_a_line_that_begins_behind_the_gap_is_whole() -> None:
    shipping = Shipping()
    shipping.write([piece(b"one", partial=False)])
    begin = len(shipping.executor.machine.attempt(shipping.ref).output)
    shipping.write([piece(b"lost", partial=False)])
    shipping.executor.lost = (begin, len(shipping.executor.machine.attempt(shipping.ref).output))
    shipping.write([piece(b"p is how one secret ends", partial=False)])
    await shipping.ship(last=True)
    assert shipping.shown() == b"one\np is how one secret ends\n"


class Files(ScriptedExecutor):
    """The real files of a log, written by the shim's own code."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Machine())
        self.log, self.ring = str(folder / "log-0"), str(folder / "log-ring")

    async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
        return Output(*log_segments.read(self.log, self.ring, offset, size))


@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_a_secret_at_any_byte_of_a_line_that_fills_head_and_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A line without end in pieces of 8 bytes; a shipper looks after every ``step`` pieces, or at the end only."""
    monkeypatch.setattr(capture, "LONGEST_PIECE", 8)
    for at in range(70):
        folder = tmp_path / f"{step}-{at}"
        folder.mkdir()
        shipping = Shipping()
        files = Files(folder)
        log = LogFile(files.log, files.ring, LogLimits(head_bytes=16, tail_bytes=24))
        reader, writer = os.pipe()
        stream = Stream("stdout", reader, log)
        data = b"z" * at + SECRET + b"z" * 40 + SECRET + b"z" * (70 - at)
        for number, begin in enumerate(range(0, len(data), 8), start=1):
            os.write(writer, data[begin : begin + 8])
            stream.read()
            if number % step == 0:
                shipping.chunks += await shipping.tail.read(files, TURN)
                shipping.tail.commit()
                if number % (2 * step) == 0:
                    shipping.crash()
        os.close(writer)
        stream.finish()
        shipping.chunks += await shipping.tail.read(files, TURN, last=True)
        os.close(reader)
        assert letters_left(shipping.shown()) == b"", (at, shipping.shown())
