"""A log with secrets on its way into the store: two streams, long lines in pieces, and crashes in between."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from platform_api.domain.log_frames import LONGEST_PIECE, LogFrame, decode, encode
from platform_api.domain.log_limits import Count
from platform_api.ports.logs import LogChunk, ResumePoint
from tests.attempts import as_written
from tests.scripted_executor import Machine, ScriptedExecutor
from work_pools.executors.protocol import AttemptRef, Output
from work_pools.log_tail import LogTail, Position
from work_pools.masking import TRANSPARENT, Masker

SECRET = "abcdefghijkl-mnop"
MASKED = b"****mnop"
#: Bytes in one turn.
TURN = 1 << 20


class Shipped:
    """A tail, its executor, and what the store has got."""

    def __init__(self, masker: Masker) -> None:
        self.machine, self.masker = Machine(), masker
        self.executor = ScriptedExecutor(self.machine)
        self.ref = AttemptRef(uuid4(), 1)
        self.tail = LogTail(self.ref, Position(), masker)
        self.chunks: list[LogChunk] = []

    @property
    def size(self) -> int:
        """How long the executor's output is by now."""
        return len(self.machine.attempt(self.ref).output)

    def write(self, *frames: LogFrame) -> None:
        for frame in frames:
            self.machine.attempt(self.ref).output += encode(frame)

    async def ship(self, *, last: bool = False) -> list[LogFrame]:
        """Ship all there is; returns what was stored by it."""
        before = len(self.chunks)
        while True:
            self.chunks += await self.tail.read(self.executor, TURN, last=last)
            self.tail.commit()
            if self.tail.exhausted:
                return frames_of(self.chunks[before:])

    def crash(self) -> None:
        """Another worker goes on with what the store knows."""
        end = self.chunks[-1] if self.chunks else None
        point = ResumePoint(0, 0, None)
        if end:
            point = ResumePoint(end.first_line + end.line_count, end.first_byte + end.byte_count, end.resume)
        self.tail = LogTail(self.ref, Position.resumed(point), self.masker)


def frames_of(chunks: Iterable[LogChunk]) -> list[LogFrame]:
    frames = [frame for chunk in chunks for frame, _ in decode(chunk.frames)]
    assert len(frames) == sum(chunk.line_count for chunk in chunks)
    assert sum(len(frame.data) + (not frame.partial) for frame in frames) == sum(chunk.byte_count for chunk in chunks)
    return frames


def gaps_between(chunks: Sequence[LogChunk]) -> list[Count]:
    """What readers would say was cut."""
    gaps = [
        Count(
            after.first_line - chunk.first_line - chunk.line_count,
            after.first_byte - chunk.first_byte - chunk.byte_count,
        )
        for chunk, after in itertools.pairwise(chunks)
    ]
    return [gap for gap in gaps if gap != Count()]


class Segmented(ScriptedExecutor):
    """Gives what lies in one file at a time, and nothing of those that were dropped: from ``dropped`` to ``there``."""

    def __init__(self, machine: Machine, ends: Sequence[int], dropped: int = 0, there: int = 0) -> None:
        super().__init__(machine)
        self.ends, self.dropped, self.there = sorted(ends), dropped, there

    async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
        begin = self.there if self.dropped <= offset < self.there else offset
        end = next((end for end in self.ends if end > begin), begin + size)
        output = await super().read_output(ref, begin, min(size, end - begin))
        if begin == offset or not output.frames:
            return Output(offset, b"") if begin != offset else output
        frames = [frame for frame, _ in decode(self.machine.attempt(ref).output[:begin])]
        size = sum(len(frame.data) + (not frame.partial) for frame in frames)
        return Output(begin, output.frames, Count(len(frames), size))


def out(data: str, *, partial: bool = False, time: int = 1) -> LogFrame:
    return LogFrame(time, "stdout", data.encode(), partial)


def err(data: str, *, partial: bool = False) -> LogFrame:
    return LogFrame(1, "stderr", data.encode(), partial)


async def test_lines_without_a_secret_pass_as_they_are_and_the_others_masked() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(out("one"), out(f"it is {SECRET}, {SECRET}!", time=2), err("two"), out(""))
    expected = [out("one"), out("it is ****mnop, ****mnop!", time=2), err("two"), out("")]
    assert await shipped.ship() == expected


async def test_a_secret_cut_at_any_byte_into_pieces_of_a_line_is_masked_while_the_other_stream_goes_on() -> None:
    for first, second in itertools.combinations(range(len(SECRET) + 1), 2):
        shipped = Shipped(Masker([SECRET]))
        parts = [f"x{SECRET[:first]}", SECRET[first:second]]
        shipped.write(out(parts[0], partial=True), err("other"), out(parts[1], partial=True), err(f"{SECRET[:5]}"))
        shipped.write(out(SECRET[second:] + "y"), out("next"))
        frames = await shipped.ship()
        assert as_written(frames, "stdout") == b"x" + MASKED + b"y\nnext\n"
        assert as_written(frames, "stderr") == b"other\nabcde\n"


async def test_what_the_other_stream_says_is_not_held_up_by_an_unfinished_line() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(out("long and then abc", partial=True), err("urgent"))
    assert await shipped.ship() == [out("long and then ", partial=True), err("urgent")]
    shipped.write(out("xyz"))
    assert await shipped.ship() == [out("abcxyz")]


async def test_an_unfinished_line_waits_for_its_rest_and_is_whole_when_none_comes() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(out("no newline abc", partial=True))
    assert await shipped.ship() == []
    assert await shipped.ship(last=True) == [out("no newline abc", partial=True)]


async def test_what_is_held_of_both_streams_comes_at_the_end() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(out("1abc", partial=True), err("2abcd", partial=True))
    await shipped.ship()
    await shipped.ship(last=True)
    frames = frames_of(shipped.chunks)
    assert gaps_between(shipped.chunks) == []
    assert as_written(frames, "stdout") == b"1abc"
    assert as_written(frames, "stderr") == b"2abcd"


async def test_no_piece_grows_beyond_what_a_frame_may_hold() -> None:
    shipped = Shipped(Masker([SECRET]))
    line = "x" * (LONGEST_PIECE - 3) + "abc" + "y" * LONGEST_PIECE + "z"
    pieces = [line[i : i + LONGEST_PIECE] for i in range(0, len(line), LONGEST_PIECE)]
    shipped.write(*(out(piece, partial=piece is not pieces[-1]) for piece in pieces), err("between"))
    frames = await shipped.ship()
    assert as_written(frames, "stdout") == line.encode() + b"\n"


async def test_a_crash_anywhere_neither_shows_repeats_nor_loses_anything_and_the_store_holds_no_secret() -> None:
    log = [out(f"a{SECRET[:9]}", partial=True), err("e1"), out(SECRET[9:12], partial=True), err(SECRET), out("mnop b")]
    log = [*log[:4], out(SECRET[12:] + " b"), out("end"), out("tail abc", partial=True)]
    for pause, crash in itertools.product(range(len(log) + 1), range(len(log) + 1)):
        shipped = Shipped(Masker([SECRET]))
        for number, frame in enumerate(log):
            if number == pause:
                await shipped.ship()
            if number == crash:
                shipped.crash()
                await shipped.ship()
            shipped.write(frame)
        shipped.crash()
        await shipped.ship(last=True)
        frames = frames_of(shipped.chunks)
        assert as_written(frames, "stdout") == b"a" + MASKED + b" b\nend\ntail abc", (pause, crash)
        assert as_written(frames, "stderr") == b"e1\n" + MASKED + b"\n"
        assert "abcdefghi" not in repr([(chunk.resume, chunk.frames) for chunk in shipped.chunks])


async def test_the_last_line_on_stderr_is_remembered_as_it_is_stored() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(err(f"login with {SECRET} failed"), err("  "))
    await shipped.ship()
    assert shipped.tail.stored
    assert shipped.tail.stored.last_error_line == "login with ****mnop failed"
    assert SECRET not in repr(shipped.chunks)


async def test_a_long_clean_line_is_shipped_piece_by_piece_as_it_grows() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(out("." * LONGEST_PIECE, partial=True))
    assert [len(frame.data) for frame in await shipped.ship()] == [LONGEST_PIECE]


async def test_what_is_held_is_masked_where_the_rest_was_dropped_and_the_numbers_tell_how_much_that_was() -> None:
    for held_by_an_earlier_turn in (True, False):
        shipped = Shipped(Masker([SECRET]))
        shipped.write(out(f"{SECRET} then"), out("begun abc", partial=True))
        dropped = shipped.size
        if held_by_an_earlier_turn:
            shipped.write(err("other"))
            await shipped.ship()
            dropped = shipped.size
        shipped.write(out("gone"), out(f"{SECRET} too"))
        there = shipped.size
        shipped.write(out(f"and {SECRET}"), err("end"))
        shipped.executor = Segmented(shipped.machine, [dropped], dropped, there)
        await shipped.ship()
        await shipped.ship(last=True)
        frames = frames_of(shipped.chunks)
        assert as_written(frames, "stdout") == MASKED + b" then\nbegun ****and " + MASKED + b"\n"
        assert gaps_between(shipped.chunks) == [Count(2, len(f"gone\n{SECRET} too\n"))]
        assert shipped.tail.stored
        raw = [frame for frame, _ in decode(shipped.machine.attempt(shipped.ref).output)]
        assert shipped.tail.stored.read == (len(raw), sum(len(frame.data) + (not frame.partial) for frame in raw))


async def test_a_crash_after_which_what_was_held_has_been_dropped_ends_behind_the_gap() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(out("begun abc", partial=True), err("other"))
    await shipped.ship()
    shipped.write(out("gone"))
    there = shipped.size
    shipped.write(out("there"))
    shipped.crash()
    shipped.executor = Segmented(shipped.machine, [], 0, there)
    assert await shipped.ship(last=True) == [out("there")]
    assert gaps_between(shipped.chunks) == [Count(1, 5)]


async def test_a_look_at_an_attempt_that_is_over_lets_out_what_is_held() -> None:
    shipped = Shipped(Masker([SECRET]))
    shipped.write(out("begun abc", partial=True), err("other"))
    await shipped.ship()
    assert await shipped.tail.look(shipped.executor) == []
    shipped.tail.commit()
    (chunk,) = await shipped.tail.look(shipped.executor, last=True)
    assert [frame.data for frame, _ in decode(chunk.frames)] == [b"abc"]
    assert shipped.tail.exhausted


FRAMES = st.lists(
    st.builds(
        LogFrame,
        st.integers(0, 9),
        st.sampled_from(["stdout", "stderr"]),
        st.text("abc", max_size=6).map(str.encode),
        st.booleans(),
    ),
    max_size=30,
)


NUMBERS = st.lists(st.integers(0, 30), max_size=4)


@given(FRAMES, NUMBERS, NUMBERS, NUMBERS)
async def test_any_log_comes_out_as_if_it_had_been_masked_at_once(
    log: list[LogFrame], pauses: Sequence[int], crashes: Sequence[int], ends: Sequence[int]
) -> None:
    masker = Masker(["abca", "cabb", "aaaa"])
    shipped, plain = Shipped(masker), Shipped(TRANSPARENT)
    files = [len(b"".join(map(encode, log[:end]))) for end in ends]
    shipped.executor = Segmented(shipped.machine, files)
    for number, frame in enumerate(log):
        shipped.write(frame)
        plain.write(frame)
        if number in pauses:
            await shipped.ship()
        if number in crashes:
            shipped.crash()
    await shipped.ship(last=True)
    assert await plain.ship(last=True) == log
    assert gaps_between(shipped.chunks) == []
    for stream in ("stdout", "stderr"):
        expected = masker.mask(as_written(log, stream))
        assert as_written(frames_of(shipped.chunks), stream) == expected
    complete = [replace_data(frame) for frame in log if not frame.partial]
    assert [replace_data(frame) for frame in frames_of(shipped.chunks) if not frame.partial] == complete


def replace_data(frame: LogFrame) -> LogFrame:
    return frame._replace(data=b"")
