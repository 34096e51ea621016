"""One line of a log as bytes: the format of run directories, of stored chunks and of the archive.

A frame is ``<u64 microseconds since 1970><u8 flags><u32 length><length bytes>``, little-endian. The bytes are
those the script wrote, without the line feed: NUL, broken UTF-8 and escape codes included, so a log without
secrets comes out as it went in. A line longer than ``LONGEST_PIECE`` is several frames, all but its last PARTIAL.
This module is read by the shim too, which has nothing but the standard library (and not ``dataclasses``: what that
imports would be copied by every fork of a launcher).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct("<QBI")
STDERR = 0b01
PARTIAL = 0b10

#: Longest run of bytes in one frame; longer lines are split.
LONGEST_PIECE = 64 * 1024


class LogFrame(NamedTuple):
    """A line, or a piece of a long one, as it arrived."""

    timestamp_us: int
    stream: str
    data: bytes
    partial: bool = False


class BrokenFrame(ValueError):
    """The bytes do not begin with a frame; a file was damaged or is not a log."""


def encode(frame: LogFrame) -> bytes:
    """The frame as bytes."""
    flags = (STDERR if frame.stream == "stderr" else 0) | (PARTIAL if frame.partial else 0)
    return HEADER.pack(frame.timestamp_us, flags, len(frame.data)) + frame.data


def decode(buffer: bytes | memoryview) -> Iterator[tuple[LogFrame, int]]:
    """Each whole frame in ``buffer`` with the offset behind it; an unfinished last one is left alone."""
    view = memoryview(buffer)
    for timestamp_us, flags, begin, end in places(buffer):
        stream = "stderr" if flags & STDERR else "stdout"
        yield LogFrame(timestamp_us, stream, bytes(view[begin:end]), bool(flags & PARTIAL)), end


def places(buffer: bytes | memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Of each whole frame in ``buffer``: its time, its flags, and where its data begin and end."""
    position, size = 0, len(buffer)
    while position + HEADER.size <= size:
        timestamp_us, flags, length = HEADER.unpack_from(buffer, position)
        if length > LONGEST_PIECE or flags > STDERR | PARTIAL:
            raise BrokenFrame(f"no log frame at byte {position}")
        begin = position + HEADER.size
        position = begin + length
        if position > size:
            return
        yield timestamp_us, flags, begin, position
