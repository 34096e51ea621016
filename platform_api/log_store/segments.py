"""Stretches of consecutive lines, wherever they came from, and the lines in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from platform_api.domain import log_frames
from platform_api.domain.log_frames import LogFrame
from platform_api.ports.logs import LogLine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive lines of one attempt, as frames; readers see those from ``shown_from`` up to ``shown_until``."""

    first_line: int
    line_count: int
    attempt: int
    frames: bytes
    shown_from: int = 0
    shown_until: int | None = None

    @property
    def end(self) -> int:
        """The number behind the last line."""
        return self.first_line + self.line_count

    def lines(self) -> Iterator[LogLine]:
        """The lines that readers see."""
        for number, frame in self._shown():
            yield LogLine(
                number=number,
                timestamp=EPOCH + timedelta(microseconds=frame.timestamp_us),
                stream=frame.stream,
                attempt=self.attempt,
                data=frame.data,
                partial=frame.partial,
            )

    def written(self) -> bytes:
        """What the script wrote, byte for byte."""
        return b"".join(frame.data if frame.partial else frame.data + b"\n" for _, frame in self._shown())

    def _shown(self) -> Iterator[tuple[int, LogFrame]]:
        for number, (frame, _) in enumerate(log_frames.decode(self.frames), self.first_line):
            if self.shown_until is not None and number >= self.shown_until:
                return
            if number >= self.shown_from:
                yield number, frame


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
