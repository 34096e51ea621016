"""Masks a log on its way: two streams whose lines, and pieces of long lines, arrive as frames in between each other."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, PARTIAL, STDERR, LogFrame, encode
from platform_api.domain.log_limits import Count
from work_pools.masking import NOTHING, TORN, Carry, Cover, Masker

#: See ``log_frames.places``.
Place = tuple[int, int, int, int]

STREAMS = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Held:
    """What has been read of unfinished lines but not let out."""

    stdout: Carry = NOTHING
    stderr: Carry = NOTHING
    #: From where the executor's output must be read to know all this again; None when nothing is held.
    since: int | None = None
    #: The streams that were in the middle of a line there, and how that began is lost.
    torn: tuple[str, ...] = ()

    @classmethod
    def behind_gap(cls, torn: tuple[str, ...], at: int) -> Held:
        """Where something before ``at`` is lost, to which the lines of some streams belong that go on there."""
        stdout, stderr = (TORN if stream in torn else NOTHING for stream in STREAMS)
        return cls(stdout, stderr, at, torn) if torn else NOTHING_HELD

    def __bool__(self) -> bool:
        return self.since is not None

    def of(self, stream: str) -> Carry:
        """What is held of one stream."""
        return self.stderr if stream == "stderr" else self.stdout

    def after(self, stream: str, carry: Carry, at: int) -> Held:
        """The same once a frame that was read at ``at`` has left ``carry`` of its stream."""
        stdout, stderr = (self.stdout, carry) if stream == "stderr" else (carry, self.stderr)
        if not stdout and not stderr:
            return NOTHING_HELD
        return Held(stdout, stderr, at) if self.since is None else Held(stdout, stderr, self.since, self.torn)


NOTHING_HELD = Held()


@dataclass(frozen=True, slots=True)
class Portion:
    """Frames to be stored for those that were read up to ``behind``, and what is held from there on."""

    frames: bytes
    #: What is in ``frames``, and what was read for it, held or not. Masked lines have other lengths.
    stored: Count
    read: Count
    behind: int
    held: Held
    #: The last line on stderr that says something.
    error: bytes | None = None


def portion(masker: Masker, buffer: bytes, places: Sequence[Place], held: Held, offset: int, more: bool) -> Portion:
    """What may be stored of the frames at ``places`` in ``buffer``, which begins at ``offset`` of the output.

    An unfinished line at the very end (``more`` says that it is not) is left to be read again while its last bytes
    could begin a secret.
    """
    end = places[-1][3] if places else 0
    # What is found in all frames at once spares looking into each, unless lines go on in other frames.
    unfinished = any(place[1] & PARTIAL for place in places)
    covers = None if unfinished or held else masker.covers(buffer[:end])
    if not masker or covers == []:
        count = _count(places)
        return Portion(buffer[:end], count, count, offset + end, held, _last_error(buffer, places))
    work = _Masking(masker, covers, held, offset)
    for number, place in enumerate(places, start=1):
        if number == len(places) and not more and work.is_undecided(buffer, place):
            break
        work.add(buffer, place)
    return work.portion()


def last_portion(masker: Masker, buffer: bytes, places: Sequence[Place], held: Held, offset: int) -> Portion:
    """What is left when nothing follows any more: at most one frame that was left, and what is held."""
    work = _Masking(masker, None, held, offset)
    for place in places:
        work.add(buffer, place, final=True)
    for stream in STREAMS:
        if work.held.of(stream):
            work.let_out(LogFrame(_now(), stream, b"", partial=True), final=True)
    return work.portion()


def cut_portion(masker: Masker, buffer: bytes, places: Sequence[Place], held: Held, offset: int) -> Portion:
    """The same when something follows but is lost: what is held may be the beginning of a secret."""
    work = _Masking(masker, None, held, offset)
    for place in places:
        work.add(buffer, place)
    for stream in STREAMS:
        work.cut(stream)
    return work.portion()


def replayed(masker: Masker, buffer: bytes, places: Iterable[Place], held: Held, offset: int) -> Held:
    """What is held behind frames that were stored, or held, before."""
    work = _Masking(masker, None, held, offset)
    for place in places:
        work.add(buffer, place)
    return work.held


class _Masking:
    """Goes through the frames of one buffer; ``covers``, if it is known, is what was found in all of them."""

    def __init__(self, masker: Masker, covers: list[Cover] | None, held: Held, offset: int) -> None:
        self._masker, self._covers, self._offset = masker, covers, offset
        self._ends = [cover.end for cover in covers or ()]
        self._frames = bytearray()
        self._stored = [0, 0]
        self._places: list[Place] = []
        self._error: bytes | None = None
        self._read = 0
        self.held = held

    def is_undecided(self, buffer: bytes, place: Place) -> bool:
        _, flags, begin, end = place
        return bool(flags & PARTIAL) and self._masker.holds(self.held.of(_stream(flags)), buffer[begin:end])

    def add(self, buffer: bytes, place: Place, *, final: bool = False) -> None:
        timestamp_us, flags, begin, end = place
        data = self._masked_line(buffer, self._covers, begin, end) if self._covers else None
        if data is None:
            frame = LogFrame(timestamp_us, _stream(flags), buffer[begin:end], bool(flags & PARTIAL))
            self.let_out(frame, final=final)
        else:
            self._store(HEADER.pack(timestamp_us, flags, len(data)) + data, flags, data)
        self._read = end
        self._places.append(place)

    def _masked_line(self, buffer: bytes, covers: list[Cover], begin: int, end: int) -> bytes | None:
        """A line of which everything is in the buffer, by what was found there; None where that took in a header."""
        place = bisect_right(self._ends, begin)
        out: list[bytes] = []
        while place < len(covers) and (cover := covers[place]).start < end:
            if cover.start < begin or cover.end > end:
                return None
            out += buffer[begin : cover.start], cover.shown
            begin = cover.end
            place += 1
        return b"".join(out) + buffer[begin:end]

    def let_out(self, frame: LogFrame, *, final: bool = False) -> None:
        """What can be shown of what is held and of this frame."""
        data, carry = self._masker.feed(self.held.of(frame.stream), frame.data, final=final or not frame.partial)
        self.held = self.held.after(frame.stream, carry, self._offset + self._read)
        for piece in _pieces(frame, data):
            self._store_frame(piece)

    def cut(self, stream: str) -> None:
        """Nothing more is heard of this line."""
        if shown := self._masker.cut(self.held.of(stream)):
            self._store_frame(LogFrame(_now(), stream, shown, partial=True))
        self.held = self.held.after(stream, NOTHING, self._offset + self._read)

    def _store_frame(self, frame: LogFrame) -> None:
        flags = (STDERR if frame.stream == "stderr" else 0) | (PARTIAL if frame.partial else 0)
        self._store(encode(frame), flags, frame.data)

    def _store(self, encoded: bytes, flags: int, data: bytes) -> None:
        self._frames += encoded
        self._stored[0] += 1
        self._stored[1] += len(data) + (not flags & PARTIAL)
        if flags & STDERR and data.strip():
            self._error = data

    def portion(self) -> Portion:
        stored, read = Count(*self._stored), _count(self._places)
        return Portion(bytes(self._frames), stored, read, self._offset + self._read, self.held, self._error)


def _count(places: Sequence[Place]) -> Count:
    """How many lines there are at ``places``, and how many of the bytes the script wrote, line feeds included."""
    return Count(len(places), sum(end - begin + (not flags & PARTIAL) for _, flags, begin, end in places))


def _now() -> int:
    return time.time_ns() // 1000


def _stream(flags: int) -> str:
    return "stderr" if flags & STDERR else "stdout"


def _last_error(buffer: bytes, places: Sequence[Place]) -> bytes | None:
    said = (buffer[begin:end] for _, flags, begin, end in reversed(places) if flags & STDERR)
    return next((data for data in said if data.strip()), None)


def _pieces(frame: LogFrame, data: bytes) -> Iterator[LogFrame]:
    """The frame with other data: more than one where it would be too long, none where all of it is held."""
    while len(data) > LONGEST_PIECE:
        yield frame._replace(data=data[:LONGEST_PIECE], partial=True)
        data = data[LONGEST_PIECE:]
    if data or not frame.partial:
        yield frame._replace(data=data)
