"""A log on its way: nothing is lost or repeated, whatever the store says in between."""

from __future__ import annotations

from uuid import uuid4

import pytest

from platform_api.domain.log_frames import LogFrame, encode
from platform_api.domain.log_limits import Count
from platform_api.ports.logs import ResumePoint
from tests.scripted_executor import Machine, ScriptedExecutor
from work_pools import log_tail
from work_pools.executors.protocol import AttemptRef, Output
from work_pools.log_tail import CHUNK_BYTES, LogTail, Position

#: Bytes in one turn.
TURN = 1 << 20


def tail_of(machine: Machine) -> LogTail:
    return LogTail(AttemptRef(uuid4(), 1), Position())


async def test_what_is_not_committed_is_read_again() -> None:
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    machine.attempt(tail.ref).write("one")
    first = await tail.read(executor, TURN)
    assert await tail.read(executor, TURN) == first
    tail.commit()
    assert await tail.read(executor, TURN) == []
    assert tail.exhausted


async def test_lines_are_numbered_through_and_the_resume_point_is_behind_them() -> None:
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    attempt = machine.attempt(tail.ref)
    attempt.write("one")
    attempt.write("two", "stderr")
    (chunk,) = await tail.read(executor, TURN)
    tail.commit()
    assert (chunk.first_line, chunk.line_count) == (0, 2)
    resumed = LogTail(tail.ref, Position.resumed(ResumePoint(2, 8, chunk.resume)))
    attempt.write("three")
    (following,) = await resumed.read(executor, TURN)
    assert (following.first_line, following.line_count) == (2, 1)
    assert chunk.frames + following.frames == bytes(attempt.output)
    assert following.resume == {"offset": len(attempt.output), "read": [3, 14], "last_error_line": "two"}


async def test_an_unfinished_frame_is_left_for_later() -> None:
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    frame = encode(LogFrame(1, "stdout", b"whole"))
    machine.attempt(tail.ref).output += frame[:-2]
    assert await tail.read(executor, TURN) == []
    machine.attempt(tail.ref).output += frame[-2:]
    (chunk,) = await tail.read(executor, TURN)
    assert chunk.frames == frame


async def test_a_flood_is_cut_into_chunks_and_comes_out_as_it_went_in() -> None:
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    attempt = machine.attempt(tail.ref)
    for number in range(30_000):
        attempt.output += encode(LogFrame(number, "stdout", b"x" * 60))
    chunks = []
    while True:
        read = await tail.read(executor, TURN)
        chunks += read
        tail.commit()
        if tail.exhausted:
            break
    assert b"".join(chunk.frames for chunk in chunks) == bytes(attempt.output)
    assert sum(chunk.line_count for chunk in chunks) == 30_000
    assert all(len(chunk.frames) < 2 * CHUNK_BYTES for chunk in chunks)


async def test_a_damaged_log_ends_where_the_damage_begins() -> None:
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    attempt = machine.attempt(tail.ref)
    attempt.write("good")
    good = bytes(attempt.output)
    attempt.output += b"\xff" * 100
    (chunk,) = await tail.read(executor, TURN)
    tail.commit()
    assert chunk.frames == good
    assert await tail.read(executor, TURN) == []
    assert tail.exhausted


async def test_the_last_error_line_is_fit_to_be_stored() -> None:
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    machine.attempt(tail.ref).write("bad \x00 thing" + "x" * 500, "stderr")
    (chunk,) = await tail.read(executor, TURN)
    last = chunk.resume["last_error_line"]
    assert isinstance(last, str)
    assert "\x00" not in last
    assert len(last) <= 300


async def test_a_look_takes_little_and_leaves_much_for_a_turn() -> None:
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    attempt = machine.attempt(tail.ref)
    assert await tail.look(executor) == []
    assert tail.exhausted
    attempt.write("one")
    (chunk,) = await tail.look(executor)
    tail.commit()
    attempt.output += encode(LogFrame(1, "stdout", b"x" * 60)) * 1000
    assert await tail.look(executor) == []
    tail.commit()
    assert not tail.exhausted
    chunks = await tail.read(executor, TURN)
    assert chunks[0].first_line == 1
    assert chunk.frames + b"".join(c.frames for c in chunks) == bytes(attempt.output)


async def test_what_the_executor_dropped_leaves_a_gap_in_the_numbers() -> None:
    class Forgetful(ScriptedExecutor):
        async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
            output = await super().read_output(ref, max(offset, 1000), size)
            return Output(output.offset, output.frames, Count(50, 700)) if offset < 1000 else output

    machine = Machine()
    tail, executor = tail_of(machine), Forgetful(machine)
    machine.attempt(tail.ref).output += b"?" * 1000 + encode(LogFrame(1, "stdout", b"behind"))
    (chunk,) = await tail.read(executor, TURN)
    assert (chunk.first_line, chunk.first_byte, chunk.byte_count) == (50, 700, 7)
    assert chunk.resume["read"] == [51, 707]


async def test_past_its_head_it_rests_exactly_as_long_as_what_it_shipped_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(log_tail.time, "monotonic", lambda: now)
    machine = Machine()
    tail, executor = tail_of(machine), ScriptedExecutor(machine)
    tail.head_bytes = 100
    machine.attempt(tail.ref).output += encode(LogFrame(1, "stdout", b"x" * 1000)) * 100
    chunks = await tail.read(executor, TURN)
    tail.commit()
    rest = sum(len(chunk.frames) for chunk in chunks) / log_tail.FLOOD_BYTES_PER_SECOND
    assert tail.rests_until == now + rest
    assert tail.rests
    now += rest
    assert not tail.rests
