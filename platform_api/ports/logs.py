"""Where the lines of an execution are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from platform_api.domain.log_limits import Count


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line (or, where ``partial``, one piece of a long line) of an execution's log.

    ``number`` counts from 0 over all attempts of the execution and never changes; it is the stream's event id.
    """

    number: int
    timestamp: datetime
    stream: str
    attempt: int
    data: bytes
    partial: bool = False
    #: This line is the platform's and stands for so many that were not kept.
    cut: Count | None = None

    @property
    def text(self) -> str:
        """The bytes as text; what is no UTF-8 becomes U+FFFD."""
        return self.data.decode("utf-8", errors="replace")

    @property
    def written(self) -> bytes:
        """What the script wrote, its line feed included."""
        return self.data if self.partial else self.data + b"\n"


#: The ``stream`` of lines that no script wrote.
PLATFORM = "platform"


def as_written(lines: Iterable[LogLine]) -> bytes:
    """The lines as text; what the platform says begins on a line of its own."""
    text = bytearray()
    for line in lines:
        if line.cut and text and not text.endswith(b"\n"):
            text += b"\n"
        text += line.written
    return bytes(text)


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Consecutive lines of one attempt as one write: ``frames`` are encoded by ``domain.log_frames``.

    ``resume`` is what the shipper needs to go on behind this chunk after a crash (opaque to the store).
    """

    execution_id: UUID
    attempt: int
    first_line: int
    line_count: int
    #: How many bytes of the script's lie before in the execution's log, and how many are in here.
    first_byte: int
    byte_count: int
    frames: bytes
    resume: dict[str, object]


class ResumePoint(NamedTuple):
    """Where an execution's log goes on, and the ``resume`` of the attempt's last chunk, if any."""

    line: int
    byte: int
    resume: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines are wanted: from line number ``start``, at most ``limit`` of those that match."""

    start: int = 0
    limit: int = 1000
    attempt: int | None = None
    contains: str | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines in order and the number to go on from, or None at the end of what is there."""

    lines: list[LogLine]
    next_start: int | None


class LogStore(Protocol):
    """Chunks while a run lives, an archive afterwards; readers see no difference."""

    async def append(self, chunks: list[LogChunk], *, worker_id: UUID) -> set[UUID]:
        """Store the chunks of several executions in one transaction and wake their readers.

        Only executions that ``worker_id`` still holds are written; the ids of those that were are returned.
        Writing the same chunk again changes nothing. Of a log past the limits the middle is dropped; numbers go on
        over it, and readers find one line in its place.
        """
        ...

    async def resume_point(self, execution_id: UUID, attempt: int) -> ResumePoint:
        """Where a shipper of this attempt goes on."""
        ...

    async def page(self, execution_id: UUID, query: LogQuery) -> LogPage:
        """One page of lines."""
        ...

    async def tail(self, execution_id: UUID, count: int, attempt: int | None = None) -> list[LogLine]:
        """The last ``count`` lines."""
        ...

    def raw(self, execution_id: UUID, attempt: int | None = None) -> AsyncIterator[bytes]:
        """The log byte for byte as the script wrote it, streams interleaved as they arrived, piece by piece."""
        ...

    async def archive(self, execution_id: UUID) -> None:
        """Move a finished execution's chunks into the archive; safe to repeat after a crash at any point."""
        ...
