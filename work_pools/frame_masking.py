"""Masks a log on its way: two streams whose lines, and pieces of long lines, arrive as frames in between each other."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, LogFrame, encode
from work_pools.masking import NOTHING, Carry, Cover, Masker

#: A frame and where it ends in the bytes that were read.
Read = tuple[LogFrame, int]


@dataclass(frozen=True, slots=True)
class Held:
    """What has been read of unfinished lines but not let out."""

    stdout: Carry = NOTHING
    stderr: Carry = NOTHING
    #: From where the executor's output must be read to know all this again; None when nothing is held.
    since: int | None = None

    def of(self, stream: str) -> Carry:
        """What is held of one stream."""
        return self.stderr if stream == "stderr" else self.stdout

    def after(self, stream: str, carry: Carry, at: int) -> Held:
        """The same once a frame that was read at ``at`` has left ``carry`` of its stream."""
        stdout, stderr = (self.stdout, carry) if stream == "stderr" else (carry, self.stderr)
        if not stdout and not stderr:
            return NOTHING_HELD
        return Held(stdout, stderr, at if self.since is None else self.since)


NOTHING_HELD = Held()


class Mark(NamedTuple):
    """A frame as it is stored, where it ends in ``Portion.data``, and what was read and is held behind it."""

    frame: LogFrame
    end: int
    behind: int
    held: Held


@dataclass(frozen=True, slots=True)
class Portion:
    """Frames to be stored, for frames that were read up to ``behind``."""

    data: bytes
    marks: Sequence[Mark]
    behind: int
    held: Held


def portion(masker: Masker, buffer: bytes, read: Sequence[Read], held: Held, offset: int) -> Portion:
    """What may be stored of the frames ``read`` from ``buffer``, which begins at ``offset`` of the output.

    An unfinished line at the very end whose last bytes could begin a secret is left to be read again.
    """
    covers = masker.covers(buffer)
    if not covers and not held and not (masker and any(frame.partial for frame, _ in read)):
        marks = [Mark(frame, end, offset + end, held) for frame, end in read]
        end = read[-1][1] if read else 0
        return Portion(buffer[:end], marks, offset + end, held)
    work = _Masking(masker, covers, held, offset)
    for number, (frame, end) in enumerate(read, start=1):
        if number == len(read) and work.is_undecided(frame):
            break
        work.add(frame, end)
    return work.portion()


def last_portion(masker: Masker, read: Sequence[Read], held: Held, offset: int) -> Portion:
    """What is left when nothing follows any more: at most one frame that was left, and what is held."""
    work = _Masking(masker, [], held, offset)
    for frame, end in read:
        work.add(frame, end, final=True)
    for stream in ("stdout", "stderr"):
        if work.held.of(stream):
            work.add(LogFrame(time.time_ns() // 1000, stream, b"", partial=True), work.read, final=True)
    return work.portion()


def replayed(masker: Masker, frame: LogFrame, held: Held, at: int) -> Held:
    """What is held behind a frame whose own bytes were stored before."""
    _, carry = masker.feed(held.of(frame.stream), frame.data, final=not frame.partial)
    return held.after(frame.stream, carry, at)


class _Masking:
    """Goes through the frames of one buffer."""

    def __init__(self, masker: Masker, covers: list[Cover], held: Held, offset: int) -> None:
        self._masker, self._covers, self._offset = masker, covers, offset
        self._data = bytearray()
        self._marks: list[Mark] = []
        self.held = held
        #: How far the buffer has been read.
        self.read = 0

    def is_undecided(self, frame: LogFrame) -> bool:
        return frame.partial and bool(self._masker.feed(self.held.of(frame.stream), frame.data)[1])

    def add(self, frame: LogFrame, end: int, *, final: bool = False) -> None:
        carry = self.held.of(frame.stream)
        frames = [frame]
        # A complete line in which nothing was found, the header included: nearly every line there is.
        if frame.partial or carry or self._is_touched(end):
            data, carry = self._masker.feed(carry, frame.data, final=final or not frame.partial)
            self.held = self.held.after(frame.stream, carry, self._offset + self.read)
            frames = list(_pieces(frame, data))
        self.read = end
        for piece in frames:
            self._data += encode(piece)
            self._marks.append(Mark(piece, len(self._data), self._offset + end, self.held))

    def _is_touched(self, end: int) -> bool:
        place = bisect_left(self._covers, end, key=attrgetter("start"))
        return place > 0 and self._covers[place - 1].end > self.read + HEADER.size

    def portion(self) -> Portion:
        return Portion(bytes(self._data), self._marks, self._offset + self.read, self.held)


def _pieces(frame: LogFrame, data: bytes) -> Iterator[LogFrame]:
    """The frame with other data: more than one where it would be too long, none where all of it is held."""
    while len(data) > LONGEST_PIECE:
        yield frame._replace(data=data[:LONGEST_PIECE], partial=True)
        data = data[LONGEST_PIECE:]
    if data or not frame.partial:
        yield frame._replace(data=data)
