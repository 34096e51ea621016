"""Stretches of consecutive lines, wherever they came from, and the lines in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from platform_api.domain import log_frames
from platform_api.domain.log_frames import LogFrame
from platform_api.domain.log_limits import Count, LogLimits, cut_message
from platform_api.ports.logs import PLATFORM, LogLine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class End(NamedTuple):
    """Where a stretch of a log ends: the next line's number, the bytes written until then, and the attempt."""

    line: int
    byte: int
    attempt: int


BEGINNING = End(0, 0, 1)


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive lines of one attempt, as frames; readers see those from ``shown_from`` up to ``shown_until``.

    Where ``before``, the end of what is kept before it, is not its beginning, one line stands for what is missing.
    With ``only_cut`` it is there for that line's sake: readers want another attempt.
    """

    first_line: int
    line_count: int
    first_byte: int
    attempt: int
    frames: bytes
    before: End
    limits: LogLimits
    shown_from: int = 0
    shown_until: int | None = None
    only_cut: bool = False

    @property
    def cut(self) -> Count | None:
        """What is missing before it."""
        if self.first_line == self.before.line:
            return None
        return Count(self.first_line - self.before.line, self.first_byte - self.before.byte)

    def lines(self) -> Iterator[LogLine]:
        """The lines that readers see."""
        yield from self._cut_line()
        for number, frame in self._shown():
            yield LogLine(
                number=number,
                timestamp=_moment(frame),
                stream=frame.stream,
                attempt=self.attempt,
                data=frame.data,
                partial=frame.partial,
            )

    def written(self) -> bytes:
        """What the script wrote, byte for byte."""
        cut = b"".join(line.written for line in self._cut_line())
        return cut + b"".join(frame.data if frame.partial else frame.data + b"\n" for _, frame in self._shown())

    def _cut_line(self) -> Iterator[LogLine]:
        """Its number is the last one that is missing: who has seen all that is missing does not see it."""
        cut, number = self.cut, self.first_line - 1
        if cut is None or number < self.shown_from:
            return
        frame, _ = next(log_frames.decode(self.frames))
        text = cut_message(cut, self.limits).encode()
        yield LogLine(number, _moment(frame), PLATFORM, self.before.attempt, text, cut=cut)

    def _shown(self) -> Iterator[tuple[int, LogFrame]]:
        if self.only_cut:
            return
        for number, (frame, _) in enumerate(log_frames.decode(self.frames), self.first_line):
            if self.shown_until is not None and number >= self.shown_until:
                return
            if number >= self.shown_from:
                yield number, frame


def _moment(frame: LogFrame) -> datetime:
    return EPOCH + timedelta(microseconds=frame.timestamp_us)


class Needle:
    """What a reader searches: a piece of text, whatever its case."""

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        self._bytes = text.lower().encode() if text.isascii() else None

    def may_be_in(self, frames: bytes) -> bool:
        """False only if none of the lines can match: sorts most of a long log out without decoding it."""
        return self._bytes is None or self._bytes in frames.lower()

    def is_in(self, data: bytes) -> bool:
        """Whether the line matches."""
        if self._bytes is not None:
            return self._bytes in data.lower()
        return self._text in data.decode("utf-8", errors="replace").casefold()
